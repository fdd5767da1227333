package splitbrain

import (
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// UnitVerdict is what a unit of this node is told. A batch is to be applied in
// its order.
type UnitVerdict struct {
	Unit    string
	Verdict Verdict
}

// Verdict is one of Hold, TakeOver, Yield, Members, Lease and Reannounce. They
// have the meaning of the events of the same names in package vrrp.
type Verdict interface{ verdict() }

type (
	// Hold keeps a BACKUP whose timer ends in BACKUP until the given time:
	// a holder is proved to be alive, or the unit is reserved for another.
	// When nothing renews it, the unit waits Rank more and takes over.
	Hold struct {
		Until  time.Time
		Rank   time.Duration
		Reason string
	}

	// TakeOver makes a BACKUP become MASTER after the given delay, unless an
	// advert or a later Hold comes first. It ends an earlier Hold.
	TakeOver struct {
		After  time.Duration
		Reason string
	}

	// Yield makes a MASTER of the given tenure let go, for the benefit of
	// the node Successor.
	Yield struct {
		Tenure    uint64
		Successor string
		Reason    string
	}

	// Members are the addresses of members with which this node is in
	// two-way contact and which follow the same policy for this unit: their
	// adverts never make a MASTER yield, and a BACKUP asks before preempting.
	Members struct{ Addrs []netip.Addr }

	// Lease lets a unit of policy quorum be MASTER in the given tenure until
	// the given instant, and no longer: without a later one it lets go then. For
	// a BACKUP it is the tenure to come, one after its last. It is checked at
	// each use, because this process may stand still between two.
	Lease struct {
		Tenure uint64
		Until  kclock.Instant
		Ballot Ballot // for people and their scripts
	}

	// Reannounce makes a MASTER announce its addresses again: another holder
	// has let go, whose announcements may have misled the neighbours.
	Reannounce struct{ Reason string }
)

func (Hold) verdict()       {}
func (Reannounce) verdict() {}
func (TakeOver) verdict()   {}
func (Yield) verdict()      {}
func (Members) verdict()    {}
func (Lease) verdict()      {}
