package lvs

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Service is a virtual service and where its connections go.
type Service struct {
	Key
	Settings
	Servers []Server
}

// equal reports whether two services are written alike.
func (s *Service) equal(o *Service) bool {
	return s.Key == o.Key && s.Settings == o.Settings && slices.Equal(s.Servers, o.Servers)
}

// Settings are what can be changed of a service that exists. They compare with
// ==, but see sameSettings.
type Settings struct {
	// Scheduler is the name of the kernel's, such as wlc: 1 to 15 characters.
	Scheduler   string
	Flags       Flags
	Persistence Persistence
}

// Flags change how a service schedules.
type Flags uint8

// OnePacket schedules each datagram by itself (ops). What the other three mean
// is the scheduler's: of sh and mh, Flag1 is "fallback" and Flag2 "port".
const (
	OnePacket Flags = 1 << iota
	Flag1
	Flag2
	Flag3
)

func (f Flags) String() string {
	var names []string
	for i, name := range []string{"ops", "flag-1", "flag-2", "flag-3"} {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// Persistence sends a client to the server that it had before.
type Persistence struct {
	// Timeout is how long after its last connection a client is remembered: whole
	// seconds, up to 31 days. Zero: not at all, and the rest counts for nothing.
	Timeout time.Duration
	// MaskBits is the length of the prefix of a client's address that counts as
	// one client, up to 32 or 128. Zero: all of the address.
	MaskBits uint8
	// Engine recognizes clients by other than their address: sip. Empty: none.
	Engine string
}

// MaskOther stands for an observed mask that is no prefix. Nothing wanted has
// it.
const MaskOther uint8 = 255

// Server is a real server of a service. It is known by its Address and compares
// with ==, but see sameServer.
type Server struct {
	// Address may be of the other family than the service if Method is TUN. DR and
	// TUN leave the port as it is, so it must be the service's. Of a mark's
	// service port 0 is each packet's own.
	Address netip.AddrPort
	Method  Method
	Tunnel  Tunnel // counts for TUN
	// Weight is the share of new connections, up to MaxWeight; zero: none.
	Weight uint32
	// UpperThreshold is how many connections the server may have before it gets no
	// new ones; zero: any number. With LowerThreshold it gets them again only when
	// it has fewer than that; zero: three quarters of the upper one.
	UpperThreshold, LowerThreshold uint32
}

// MaxWeight is the largest weight that the kernel has.
const MaxWeight = 1<<31 - 1

// Method is how packets come to a server. The numbers are the kernel's.
type Method uint8

// The methods that can be wanted.
const (
	NAT Method = 0 // destination rewritten; answers come back through the director
	TUN Method = 2 // packed into another packet
	DR  Method = 3 // sent to the server's MAC address as they are
)

func (m Method) String() string {
	switch m {
	case NAT:
		return "NAT"
	case TUN:
		return "TUN"
	case DR:
		return "DR"
	default: // local nodes and cache bypass, which the kernel sets for itself
		return "other"
	}
}

// Tunnel is the encapsulation of TUN.
type Tunnel struct {
	Type TunnelType
	// Port is the UDP port of GUE, 1 to 65535; zero for the others.
	Port uint16
	// Checksum is for GUE and GRE; remote checksum for GUE only.
	Checksum Checksum
}

// TunnelType is the kind of encapsulation. The numbers are the kernel's.
type TunnelType uint8

// The encapsulations of Linux: IP in IP, Generic UDP Encapsulation (5.3), GRE (5.3).
const (
	IPIP TunnelType = iota
	GUE
	GRE
)

func (t TunnelType) String() string {
	switch t {
	case IPIP:
		return "ipip"
	case GUE:
		return "gue"
	case GRE:
		return "gre"
	default:
		return "other"
	}
}

// Checksum says what is summed of an encapsulated packet. The numbers are the
// kernel's.
type Checksum uint8

// The checksums of a tunnel.
const (
	NoChecksum Checksum = iota
	OuterChecksum
	RemoteChecksum // of the inner packet, carried in the outer header
)

// sameSettings reports whether the kernel would not tell two settings of one
// service apart.
func sameSettings(family Family, a, b Settings) bool {
	return a.normal(family) == b.normal(family)
}

func (s Settings) normal(family Family) Settings {
	p := &s.Persistence
	switch {
	case p.Timeout == 0:
		*p = Persistence{}
	case p.MaskBits == 0:
		p.MaskBits = hostBits(family)
	}
	return s
}

func hostBits(family Family) uint8 {
	if family == IPv4 {
		return 32
	}
	return 128
}

// sameServer is sameSettings for servers.
func sameServer(a, b Server) bool { return a.normal() == b.normal() }

func (s Server) normal() Server {
	if s.Method != TUN {
		s.Tunnel = Tunnel{}
	}
	return s
}
