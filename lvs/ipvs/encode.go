package ipvs

import (
	"encoding/binary"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/nlmsg"
	"github.com/hacluster/hacluster/lvs"
)

// encoder lays out requests of the family.
type encoder struct {
	nlmsg.Requests
	family uint16
}

func (e *encoder) begin(cmd uint8, flags uint16) {
	e.Begin(e.family, flags)
	e.Raw(cmd, familyVersion, 0, 0) // struct genlmsghdr
}

// op lays out one operation.
func (e *encoder) op(op lvs.Op) {
	switch op := op.(type) {
	case lvs.AddService:
		e.begin(cmdNewService, 0)
		e.service(op.Key, &op.Settings)
	case lvs.SetService:
		e.begin(cmdSetService, 0)
		e.service(op.Key, &op.Settings)
	case lvs.DeleteService:
		e.begin(cmdDelService, 0)
		e.service(op.Key, nil)
	case lvs.AddServer:
		e.begin(cmdNewDest, 0)
		e.service(op.Key, nil)
		e.server(op.Server)
	case lvs.SetServer:
		e.begin(cmdSetDest, 0)
		e.service(op.Key, nil)
		e.server(op.Server)
	case lvs.DeleteServer:
		e.begin(cmdDelDest, 0)
		e.service(op.Key, nil)
		e.Nest(attrDest)
		e.serverAddress(op.Address)
		e.Unnest()
	case lvs.StartSync:
		e.begin(cmdNewDaemon, 0)
		e.daemon(op.Daemon)
	case lvs.StopSync:
		e.begin(cmdDelDaemon, 0)
		e.Nest(attrDaemon)
		e.Uint32(daemonRole, uint32(op.Role))
		e.Unnest()
	default:
		panic("ipvs: unknown operation " + op.String())
	}
	e.End()
}

// service lays out a service: which one, and with settings what it is.
func (e *encoder) service(k lvs.Key, settings *lvs.Settings) {
	e.Nest(attrService)
	defer e.Unnest()
	e.Uint16(svcFamily, familyNumber(k.Family()))
	if k.Mark != 0 {
		e.Uint32(svcMark, k.Mark)
	} else {
		e.Uint16(svcProtocol, uint16(k.Protocol))
		e.address(svcAddr, k.Address.Addr())
		e.Port(svcPort, k.Address.Port())
	}
	if settings == nil {
		return
	}
	e.String(svcSched, settings.Scheduler)
	p := settings.Persistence
	if p.Engine != "" {
		e.String(svcEngine, p.Engine)
	}
	// All flags are ours to set but "hashed", which the kernel keeps.
	var flags [8]byte
	binary.NativeEndian.PutUint32(flags[:], flagBits(settings))
	binary.NativeEndian.PutUint32(flags[4:], ^uint32(0))
	e.Attr(svcFlags, flags[:]...)
	e.Uint32(svcTimeout, uint32(p.Timeout/time.Second))
	e.Attr(svcNetmask, netmask(k.Family(), p.MaskBits)...)
}

func flagBits(s *lvs.Settings) (bits uint32) {
	if s.Persistence.Timeout > 0 {
		bits |= flagPersist
	}
	if s.Flags&lvs.OnePacket != 0 {
		bits |= flagOnePacket
	}
	for i, f := range schedulerFlags {
		if s.Flags&f != 0 {
			bits |= flag1 << i
		}
	}
	return bits
}

var schedulerFlags = [...]lvs.Flags{lvs.Flag1, lvs.Flag2, lvs.Flag3}

// netmask is what the kernel wants for a prefix of so many bits, 0 being all.
func netmask(family lvs.Family, bits uint8) []byte {
	if family == lvs.IPv6 {
		if bits == 0 {
			bits = 128
		}
		return binary.NativeEndian.AppendUint32(nil, uint32(bits))
	}
	if bits == 0 {
		bits = 32
	}
	return binary.BigEndian.AppendUint32(nil, ^uint32(0)<<(32-bits))
}

func (e *encoder) server(s lvs.Server) {
	e.Nest(attrDest)
	defer e.Unnest()
	e.serverAddress(s.Address)
	e.Uint32(destMethod, uint32(s.Method))
	e.Uint32(destWeight, s.Weight)
	e.Uint32(destUpper, s.UpperThreshold)
	e.Uint32(destLower, s.LowerThreshold)
	if s.Method == lvs.TUN {
		e.Uint8(destTunType, uint8(s.Tunnel.Type))
		e.Port(destTunPort, s.Tunnel.Port)
		e.Uint16(destTunFlags, uint16(s.Tunnel.Checksum))
	}
}

func (e *encoder) serverAddress(a netip.AddrPort) {
	e.Uint16(destFamily, addressFamily(a.Addr()))
	e.address(destAddr, a.Addr())
	e.Port(destPort, a.Port())
}

func (e *encoder) daemon(d lvs.SyncDaemon) {
	e.Nest(attrDaemon)
	defer e.Unnest()
	e.Uint32(daemonRole, uint32(d.Role))
	e.String(daemonIfname, d.Interface)
	e.Uint32(daemonID, uint32(d.ID))
	if d.MaxLen != 0 {
		e.Uint16(daemonMaxLen, d.MaxLen)
	}
	switch {
	case d.Group.Is4():
		e.Attr(daemonGroup4, d.Group.AsSlice()...)
	case d.Group.Is6():
		e.Attr(daemonGroup6, d.Group.AsSlice()...)
	}
	if d.Port != 0 {
		e.Uint16(daemonPort, d.Port)
	}
	if d.TTL != 0 {
		e.Uint8(daemonTTL, d.TTL)
	}
}

// address lays out union nf_inet_addr.
func (e *encoder) address(typ uint16, a netip.Addr) {
	var b [16]byte
	if a.Is4() {
		four := a.As4()
		copy(b[:], four[:])
	} else {
		b = a.As16()
	}
	e.Attr(typ, b[:]...)
}

func familyNumber(f lvs.Family) uint16 {
	if f == lvs.IPv4 {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func addressFamily(a netip.Addr) uint16 {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
