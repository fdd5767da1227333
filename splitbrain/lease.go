package splitbrain

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/rules"
)

// Bounds of what records say of leases.
const (
	MaxVoters     = 15  // members of an electorate
	MaxVoterBytes = 450 // bytes of their names, with one more for each
	MinLease      = rules.MinLease
	MaxLease      = rules.MaxLease
)

// Electorate is the voters of policy quorum: those of Raft, witnesses
// included. The zero value is that of a node that knows none, where no
// majority can exist.
type Electorate struct {
	// Epoch grows with every change. Requests name it, and a voter grants
	// those of its own epoch only (R6e).
	Epoch  uint64
	Voters []string // names of nodes, in order
}

// Majority is how many voters must agree: of none, none can.
func (e Electorate) Majority() int { return len(e.Voters)/2 + 1 }

// Has reports whether a node is a voter.
func (e Electorate) Has(node string) bool { return slices.Contains(e.Voters, node) }

// check refuses what no record could carry.
func (e Electorate) check() error {
	if len(e.Voters) > MaxVoters {
		return fmt.Errorf("electorate %d: %d voters; at most %d", e.Epoch, len(e.Voters), MaxVoters)
	}
	n := 0
	for _, v := range e.Voters {
		if len(v) == 0 || len(v) > MaxNode {
			return fmt.Errorf("electorate %d: voter %q: a node name has 1 to %d bytes", e.Epoch, v, MaxNode)
		}
		n += 1 + len(v)
	}
	if n > MaxVoterBytes {
		return fmt.Errorf("electorate %d: names of %d bytes; at most %d", e.Epoch, n, MaxVoterBytes)
	}
	return nil
}

// Ballot numbers the attempts to get the lease of one unit. An attempt has one
// above all that it saw at the voters, so later leases have higher ones, until
// all voters lose their memory. It matches messages and is shown to people and
// scripts; a higher one proves nothing (R6h).
type Ballot uint64

// MaxBallot bounds what is believed: nothing counts as far as that.
const MaxBallot Ballot = 1 << 62

// LeaseRequest asks the voters for the lease of a unit (R6a), or to prolong
// it. Its node, boot id and sequence are those of the record that it is in. It
// stands while it is repeated.
type LeaseRequest struct {
	Unit   string
	Tenure uint64 // the tenure that the lease is for
	Ballot Ballot
	Epoch  uint64        // of the sender's electorate
	Lease  time.Duration // L: for how long the voter shall grant nobody else
	// Held says that the sender's lease with this ballot runs, so that the
	// request prolongs it: its ballot need not be above others.
	Held bool
	// Among requests that stand, a voter answers the best (R6f).
	Priority uint8
	Primary  netip.Addr
}

// Answer is what a voter says to a request or a release.
type Answer uint8

// Answers. All but the first two say why a request is not granted.
const (
	AnswerGranted     Answer = iota
	AnswerFreed              // the release was taken: the voter holds nothing for that ballot
	AnswerHeld               // another life has an unexpired grant
	AnswerReserved           // the former holder named another successor
	AnswerOutdated           // a higher ballot was granted before
	AnswerElectorate         // the voter's electorate is another one, or it is none of it
	AnswerQuarantined        // the voter has lost its memory, and waits (R6d)
	AnswerNoLease            // the voter does not know yet how long leases may be
	answers                  // how many there are
)

func (a Answer) String() string {
	if a < answers {
		return answerNames[a]
	}
	return "unknown answer"
}

var answerNames = [...]string{
	"granted", "freed", "held by another", "reserved for another",
	"ballot outdated", "another electorate", "in quarantine", "no revision yet",
}

// Grant is a voter's answer to the request of one life. It repeats the request.
type Grant struct {
	Unit   string
	To     BootID
	Answer Answer
	Tenure uint64
	Ballot Ballot
	Seq    uint64 // of the record that asked, or of the release
	Epoch  uint64 // of the request if granted, else the voter's own
	// Lease is for how long it is granted, from processing: L of the request,
	// or less when the voter grants no more.
	Lease time.Duration
	// When it is not granted: the highest ballot granted before, the node in
	// the way, and for how long it is or the quarantine lasts.
	Highest Ballot
	Holder  string
	Left    time.Duration
}

// Release gives a grant back (R6c). It frees the grant with that ballot and
// no other, and voids requests of its life up to Seq.
type Release struct {
	Unit   string
	Ballot Ballot
	Seq    uint64 // the last record that asked with this ballot
	// Successor is the life for which the voter keeps the unit, for Span; zero:
	// nobody.
	Successor BootID
	Span      time.Duration
}
