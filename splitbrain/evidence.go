package splitbrain

import (
	"fmt"
	"net/netip"
	"time"
)

// MAC is an Ethernet address.
type MAC [6]byte

func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// Probe is one question to the neighbours on an interface, by ARP or neighbour
// discovery: who has the address.
type Probe struct {
	Interface string
	Addr      netip.Addr
	// Source is this node's address in an ordinary ARP request. The zero
	// address asks as RFC 5227 section 2.1.1 does, which changes no cache.
	// Neighbour solicitations come from the link-local address in any case.
	Source netip.Addr
}

// Sighting is an address with the hardware address that answered for it, or
// announced it.
type Sighting struct {
	Interface string
	Addr      netip.Addr
	MAC       MAC
	At        time.Time
}

// Network is one network on which a unit serves, as this node sees it.
type Network struct {
	Interface string
	Source    netip.Addr     // of this node, there; zero: none
	Subnets   []netip.Prefix // of the interface's own addresses
	VIPs      []netip.Addr   // of the unit, there
	Gateways  []netip.Addr   // to be probed there
	// Named says that a person named the gateways: silence counts although
	// they have never answered.
	Named bool
}

// Echo is what the probes of one address have shown.
type Echo struct {
	Asked       time.Time // when the latest probe was sent; zero: never
	Silent      int       // probes in a row, up to the latest, that had no answer in their time
	SilentSince time.Time // when the first of these was sent
	Answered    time.Time // when the latest answer came; zero: never
	Began       time.Time // when the probe that it answered had been sent
}

// known reports whether silence there means anything: it has answered before.
func (e Echo) known() bool { return !e.Answered.IsZero() }

// MemberEcho is what probes of one member's own address on a network show.
type MemberEcho struct {
	Node   string
	Heard  bool      // fresh records of it arrive
	Since  time.Time // when they began to, or began again
	Latest time.Time // when the latest of them was made
	Echo
}

// besideRecords reports whether its silence goes on although its records arrive:
// what was silent while they were missing too tells of a cut that has healed, and
// so do the first probes after it; and one whose records ended with its answers
// is down or cut off itself, for as long as the last of them still counts.
func (m *MemberEcho) besideRecords() bool {
	return m.Heard && m.Asked.Sub(m.Since) >= 3*maxQuick && m.Latest.Sub(m.SilentSince) >= 2*minQuick
}

// Responder is who answered for an address of a unit, or announced it.
type Responder struct {
	VIP  netip.Addr
	MAC  MAC
	Node string    // empty: a stranger
	At   time.Time // of the latest answer
}

// NetworkEvidence is what this node's probes on one network show of a unit.
type NetworkEvidence struct {
	Interface string
	// Fabric says that the network itself answers, for every address with its
	// own hardware address, so that answers prove nothing (S73).
	Fabric bool
	// Proof is how many unanswered probes in a row are no accident, by what
	// was lost lately; 3 on a network that loses nothing.
	Proof    int
	Gateways []Echo
	Named    bool // see Network.Named
	Members  []MemberEcho
	VIP      Echo        // of the unit's first address there
	Answers  []Responder // to the latest probes of the unit's addresses
}

// silent reports whether an address is proved not to answer.
func (n *NetworkEvidence) silent(e Echo) bool { return e.Silent >= max(n.Proof, 3) }

// member is what probes of the member's own address show, or nil.
func (n *NetworkEvidence) member(node string) *MemberEcho {
	for i := range n.Members {
		if n.Members[i].Node == node {
			return &n.Members[i]
		}
	}
	return nil
}

// Evidence is what this node's probes show that bears on one unit. Without
// networks it shows nothing.
type Evidence struct {
	Networks []NetworkEvidence

	// The data path of this node on all of them (R3).
	Path      PathState
	PathSince time.Time // when it became so
	PathBegan time.Time // when the latest answered probe was sent; zero: never
}

// SightKind is who answers when a node that does not hold a unit probes its
// addresses.
type SightKind uint8

// Kinds of sights.
const (
	SightNone     SightKind = iota // not probed, or answers prove nothing
	SightNobody                    // nobody answers
	SightOne                       // one member answers, with one of its hardware addresses or several
	SightTwo                       // two members answer
	SightStranger                  // a hardware address of no member answers
)

func (k SightKind) String() string {
	if int(k) < len(sightNames) {
		return sightNames[k]
	}
	return "invalid"
}

var sightNames = [...]string{"none", "nobody", "one member", "two members", "a stranger"}

// Sight is what a member's latest probes of a unit's addresses show.
type Sight struct {
	Kind SightKind
	Of   BootID        // the member that answers, of SightOne
	Age  time.Duration // from the latest answer, or for SightNobody probe, to the sending of the record
}

// sight sums up who answers for the unit's addresses, and when that was seen.
// Who answers is named for SightOne.
func (e *Evidence) sight() (kind SightKind, node string, at time.Time) {
	asked := false
	for i := range e.Networks {
		n := &e.Networks[i]
		if n.Fabric || n.VIP.Asked.IsZero() {
			continue
		}
		asked = true
		for _, a := range n.Answers {
			at = later(at, a.At)
			switch {
			case a.Node == "":
				kind = SightStranger
			case kind == SightNone:
				kind, node = SightOne, a.Node
			case kind == SightOne && node != a.Node:
				kind = SightTwo
			}
		}
	}
	if kind != SightNone || !asked {
		return kind, node, at
	}
	for i := range e.Networks {
		n := &e.Networks[i]
		if n.Fabric || !n.silent(n.VIP) {
			return SightNone, "", at
		}
		at = later(at, n.VIP.Asked)
	}
	return SightNobody, "", at
}
