package supervisor

import (
	"net/netip"
	"time"
)

// Clause is one part of a will: what to undo, and what to say then. The kernel
// gate, whose slots are all the worker's, is closed whatever a will says.
type Clause struct {
	// Silence is how long the worker may leave the supervisor unfed while the
	// clause stands; 0: this clause sets no limit. The shortest one counts.
	Silence time.Duration

	Addresses []Address // to be removed
	// Gated says that the kernel gate guards all of them: when it is read back
	// closed they do not answer any more, removed or not.
	Gated bool
	Words []Words // sent when everything in the will is verified to be undone
}

// empty says whether a clause asks for nothing.
func (c *Clause) empty() bool {
	return c.Silence == 0 && len(c.Addresses)+len(c.Words) == 0
}

// Address is one address on one interface, as the kernel knows it.
type Address struct {
	Interface string       // at most 15 bytes
	Prefix    netip.Prefix // the local address with the length of its subnet
	Peer      netip.Prefix // zero: none
}

// Words is one payload for one or more receivers.
type Words struct {
	// Protocol is IPPROTO_UDP, or that of a raw socket (112: VRRP), where the
	// ports of To say nothing.
	Protocol uint8
	// Interface is the index of the interface that a raw packet leaves by.
	Interface uint32
	Source    netip.Addr // of a raw packet; a UDP datagram has the kernel's choice
	TTL       uint8      // of a raw packet: IPv4 TTL or IPv6 hop limit
	Payload   []byte
	To        []netip.AddrPort
}

// Bounds of a clause.
const (
	// maxMessage is for one clause with its name. Larger messages make the
	// kernel look for contiguous memory.
	maxMessage = 64 << 10
	maxName    = 255
	maxIfname  = 15
)
