package splitbrain

import (
	"fmt"
	"time"
)

// MAC is an Ethernet address.
type MAC [6]byte

func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// PathState is what a node's probes show of its own data path on the networks
// of a unit (R3).
type PathState uint8

// Path states.
const (
	PathUnknown   PathState = iota // nothing there has ever answered, or answers prove nothing
	PathAlive                      // a gateway, or without one a member, answers
	PathLost                       // what answered before is silent
	PathSuspended                  // it answers again, but not for long enough yet
)

func (s PathState) String() string {
	if int(s) < len(pathNames) {
		return pathNames[s]
	}
	return "invalid"
}

var pathNames = [...]string{"unknown", "alive", "lost", "suspended"}

// lastRank reports whether a candidate in this state comes after all others.
func (s PathState) lastRank() bool { return s == PathLost || s == PathSuspended }

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
