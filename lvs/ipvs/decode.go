package ipvs

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/nlmsg"
	"github.com/hacluster/hacluster/lvs"
)

// nested returns the attributes in attribute typ of an answer of the family.
func nested(m nlmsg.Message, typ uint16) ([]byte, error) {
	const header = 4 // struct genlmsghdr
	if len(m.Data) >= header {
		for t, v := range nlmsg.Attributes(m.Data[header:]) {
			if t == typ {
				return v, nil
			}
		}
	}
	return nil, fmt.Errorf("answer of %d bytes without attribute %d", len(m.Data), typ)
}

// attributes are those of a message by number. The highest that we know is 15.
type attributes [16][]byte

func attributesOf(b []byte) (a attributes) {
	for t, v := range nlmsg.Attributes(b) {
		if int(t) < len(a) {
			a[t] = v
		}
	}
	return a
}

func (a *attributes) uint(typ uint16) uint64 { return nlmsg.Uint(a[typ]) }

func decodeService(b []byte) (s lvs.ServiceState, err error) {
	a := attributesOf(b)
	var family lvs.Family
	switch n := a.uint(svcFamily); n {
	case unix.AF_INET:
		family = lvs.IPv4
	case unix.AF_INET6:
		family = lvs.IPv6
	default:
		return s, fmt.Errorf("service of address family %d", n)
	}
	if s.Mark = uint32(a.uint(svcMark)); s.Mark != 0 {
		s.MarkFamily = family
	} else {
		s.Protocol = lvs.Protocol(a.uint(svcProtocol))
		addr, err := decodeAddress(uint16(a.uint(svcFamily)), a[svcAddr])
		if err != nil {
			return s, fmt.Errorf("service: %w", err)
		}
		s.Address = netip.AddrPortFrom(addr, nlmsg.Port(a[svcPort]))
	}
	s.Scheduler = nlmsg.String(a[svcSched])
	if len(a[svcFlags]) != 8 {
		return s, fmt.Errorf("service %v: flags of %d bytes", s.Key, len(a[svcFlags]))
	}
	flags := binary.NativeEndian.Uint32(a[svcFlags])
	if flags&flagOnePacket != 0 {
		s.Flags |= lvs.OnePacket
	}
	for i, f := range schedulerFlags {
		if flags&(flag1<<i) != 0 {
			s.Flags |= f
		}
	}
	if flags&flagPersist != 0 {
		s.Persistence = lvs.Persistence{
			Timeout:  time.Duration(a.uint(svcTimeout)) * time.Second,
			MaskBits: maskBits(family, a[svcNetmask]),
			Engine:   nlmsg.String(a[svcEngine]),
		}
	}
	s.Counters = decodeCounters(a[svcStats], a[svcStats64])
	return s, nil
}

// maskBits is the length of a mask as the kernel shows it.
func maskBits(family lvs.Family, b []byte) uint8 {
	if len(b) != 4 {
		return lvs.MaskOther
	}
	if family == lvs.IPv6 {
		return uint8(min(binary.NativeEndian.Uint32(b), uint32(lvs.MaskOther)))
	}
	mask := binary.BigEndian.Uint32(b)
	n := bits.LeadingZeros32(^mask)
	if n == 0 || mask != ^uint32(0)<<(32-n) {
		return lvs.MaskOther // also a mask of nothing, which a wanted 0 does not mean
	}
	return uint8(n)
}

// decodeServer reads a server of a service of the given family, which counts
// where the kernel is too old to name the server's own.
func decodeServer(b []byte, service lvs.Family) (s lvs.ServerState, err error) {
	a := attributesOf(b)
	family := familyNumber(service)
	if a[destFamily] != nil {
		family = uint16(a.uint(destFamily))
	}
	addr, err := decodeAddress(family, a[destAddr])
	if err != nil {
		return s, fmt.Errorf("server: %w", err)
	}
	s.Server = lvs.Server{
		Address:        netip.AddrPortFrom(addr, nlmsg.Port(a[destPort])),
		Method:         lvs.Method(a.uint(destMethod) & methodMask),
		Weight:         uint32(a.uint(destWeight)),
		UpperThreshold: uint32(a.uint(destUpper)),
		LowerThreshold: uint32(a.uint(destLower)),
	}
	if s.Method == lvs.TUN {
		s.Tunnel = lvs.Tunnel{
			Type:     lvs.TunnelType(a.uint(destTunType)),
			Port:     nlmsg.Port(a[destTunPort]),
			Checksum: lvs.Checksum(a.uint(destTunFlags)),
		}
	}
	s.Connections = lvs.Connections{
		Active:     uint32(a.uint(destActive)),
		Inactive:   uint32(a.uint(destInactive)),
		Persistent: uint32(a.uint(destPersist)),
	}
	s.Counters = decodeCounters(a[destStats], a[destStats64])
	return s, nil
}

// decodeCounters prefers the counters of 64 bits, which Linux has since 4.1.
func decodeCounters(b32, b64 []byte) lvs.Counters {
	if b64 == nil {
		b64 = b32
	}
	a := attributesOf(b64)
	return lvs.Counters{
		Connections: a.uint(statConns),
		InPackets:   a.uint(statInPkts),
		OutPackets:  a.uint(statOutPkts),
		InBytes:     a.uint(statInBytes),
		OutBytes:    a.uint(statOutBytes),

		ConnectionsPerSecond: a.uint(statCPS),
		InPacketsPerSecond:   a.uint(statInPPS),
		OutPacketsPerSecond:  a.uint(statOutPPS),
		InBytesPerSecond:     a.uint(statInBPS),
		OutBytesPerSecond:    a.uint(statOutBPS),
	}
}

func decodeDaemon(b []byte) (lvs.SyncDaemon, error) {
	a := attributesOf(b)
	d := lvs.SyncDaemon{
		Role:      lvs.Role(a.uint(daemonRole)),
		Interface: nlmsg.String(a[daemonIfname]),
		ID:        uint8(a.uint(daemonID)),
		MaxLen:    uint16(a.uint(daemonMaxLen)),
		Port:      uint16(a.uint(daemonPort)),
		TTL:       uint8(a.uint(daemonTTL)),
	}
	for _, group := range [][]byte{a[daemonGroup4], a[daemonGroup6]} {
		if addr, ok := netip.AddrFromSlice(group); ok {
			d.Group = addr
		}
	}
	if d.Role != lvs.SyncMaster && d.Role != lvs.SyncBackup {
		return d, fmt.Errorf("sync daemon of role %d", a.uint(daemonRole))
	}
	return d, nil
}

// decodeAddress reads union nf_inet_addr.
func decodeAddress(family uint16, b []byte) (netip.Addr, error) {
	switch {
	case family == unix.AF_INET && len(b) >= 4:
		return netip.AddrFrom4([4]byte(b)), nil
	case family == unix.AF_INET6 && len(b) >= 16:
		return netip.AddrFrom16([16]byte(b)), nil
	default:
		return netip.Addr{}, fmt.Errorf("address of family %d in %d bytes", family, len(b))
	}
}
