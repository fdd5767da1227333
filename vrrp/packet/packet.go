package packet

import (
	"net/netip"
	"time"
)

// Number is the IP protocol number of VRRP.
const Number = 112

// Auth is the authentication type of a VRRPv2 advertisement (RFC 2338
// section 5.3.6). VRRPv3 has none.
type Auth uint8

// Authentication types.
const (
	AuthNone Auth = 0
	AuthPass Auth = 1 // simple text password: the first 8 bytes, in clear
	AuthAH   Auth = 2 // IP authentication header; known, not implemented
)

// Checksum is a dialect of the VRRPv3 checksum over IPv4. VRRPv2 and IPv6
// have one dialect each and ignore it.
type Checksum uint8

// The three dialects in use.
const (
	ChecksumPseudo Checksum = iota // with pseudo-header (one reading of RFC 5798 section 5.2.8); keepalived's default
	ChecksumPlain                  // VRRP bytes only (RFC 9568 section 5.2.8); keepalived's v3_checksum_as_v2
	ChecksumGroup                  // unicast with 224.0.0.18 in the pseudo-header, as keepalived up to 1.3.6 sent it
)

// Advert is one VRRP advertisement, version 2 or 3, IPv4 or IPv6.
type Advert struct {
	Version  uint8 // 2 or 3
	VRID     uint8 // 1 to 255
	Priority uint8 // 0: the master is leaving; 255: address owner
	// Interval is Advertisement_Interval: whole seconds in version 2,
	// centiseconds up to 40.95 s in version 3.
	Interval time.Duration
	Auth     Auth         // version 2 only
	AuthData [8]byte      // version 2 only; always on the wire
	Addrs    []netip.Addr // the virtual addresses, of one family, in configuration order
}
