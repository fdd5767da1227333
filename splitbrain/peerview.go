package splitbrain

import (
	"net/netip"
	"slices"
	"time"
)

// PeerView is what this node knows of all members at one moment, for people
// and for status. Nothing in it changes after it was published.
type PeerView struct {
	At      time.Time
	Self    string
	Members []MemberView // every other configured member, by name
	Reach   []Reach      // who hears whom, by channel
	Alerts  []Alert      // the conditions that stand now

	Electorate Electorate  // the one that this node votes by
	Leases     []UnitLease // of this node's units, those that it has or asks for
}

// Reports says whether so many of the given voters have stored the electorate of an
// epoch that the others are no majority: by the one before, which they were, no lease
// is granted any more. Of no voters they have.
func (p *PeerView) Reports(epoch uint64, voters []string) bool {
	n := 0
	if slices.Contains(voters, p.Self) && p.Electorate.Epoch >= epoch {
		n++
	}
	for _, m := range p.Members {
		if slices.Contains(voters, m.Name) && m.Epoch >= epoch {
			n++
		}
	}
	return 2*n >= len(voters)
}

// UnitLease is the lease of one unit of this node, or its attempt to get it.
type UnitLease struct {
	Unit    string
	Tenure  uint64
	Ballot  Ballot
	Left    time.Duration // 0: it does not run
	Granted []string      // voters that granted it
	Missing []string      // the others, each with what it says
}

// MemberView is what is known of one other member.
type MemberView struct {
	Name      string
	Boot      BootID    // zero: never heard of
	At        time.Time // of its latest record, direct or relayed
	Via       string    // the member that relayed it; empty when direct
	Path      string    // the path on which it came, as given to Receive
	Direct    time.Time // of its latest record received directly
	Heard     time.Time // when we sent the latest of our records that it acknowledges
	RTT       time.Duration
	Fresh     bool // its latest record counts
	TwoWay    bool // and it acknowledges a record of ours that counts, too
	Leaving   bool
	Addrs     []netip.Addr // without a Boot: as an earlier life of this node knew them
	MACs      []MAC        // as Addrs
	Facts     []byte
	Epoch     uint64      // of the electorate that it has stored
	Fencing   []FenceWord // said at FencingAt
	FencingAt time.Time
	Claims    []ClaimView // by unit
}

// ClaimView is a claim with its age.
type ClaimView struct {
	Claim
	At    time.Time
	Fresh bool
}

// Channel is a way by which one node hears another.
type Channel string

// Channels.
const (
	ChannelMesh Channel = "mesh" // records, received directly
	ChannelVRRP Channel = "vrrp" // adverts of some unit
	// ChannelProbe are answers to probes of the member's own address. A pair is
	// there once it was probed; its At is zero while nothing has answered.
	ChannelProbe Channel = "probe"
)

// Reach says that To hears From, and how long ago it last did. A pair that is
// missing was never heard, or To is not known itself. Only a MASTER sends
// adverts, so silence on that channel means something for holders only.
type Reach struct {
	From, To string
	Channel  Channel
	Unit     string // for ChannelVRRP
	At       time.Time
}
