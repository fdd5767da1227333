package splitbrain

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// Legacy is what an Arbiter hands to the one that goes on with its life, in
// another process on the same machine (F26): the number of its last record, what
// its voter has granted, and the leases that it has. The voter of the heir needs
// no quarantine, and its units keep their leases.
type Legacy struct {
	Seq     uint64
	Voter   *voterLegacy            `json:",omitempty"` // nil: it had not begun to vote
	Holders map[string]holderLegacy `json:",omitempty"` // by unit
}

type voterLegacy struct {
	Bound       time.Duration
	Lost        bool
	Began       kclock.Instant
	Quarantined kclock.Instant
	Units       map[string]boxLegacy
}

type boxLegacy struct {
	Node          string
	Boot          BootID
	Ballot        Ballot
	Until         kclock.Instant
	Answer        Grant
	Highest       Ballot
	Successor     BootID
	ReservedUntil kclock.Instant
	Seen          []seenLegacy
}

type seenLegacy struct {
	Boot BootID
	Seq  uint64
	At   kclock.Instant
}

type holderLegacy struct {
	Ballot   Ballot
	Tenure   uint64
	Lease    time.Duration
	Asked    uint64
	Epoch    uint64
	Until    kclock.Instant
	Highest  Ballot
	Replies  []replyLegacy
	Releases []releaseLegacy
}

type replyLegacy struct {
	Voter   string
	Grant   Grant
	Granted bool
	Reading kclock.Instant
	Lease   time.Duration
}

type releaseLegacy struct {
	Release
	Waiting []string
	Until   kclock.Instant
}

// Legacy is what the heir of this Core needs. Nothing may be done with the Core
// afterwards: what it granted would be forgotten.
func (c *Core) Legacy() Legacy {
	l := Legacy{Seq: c.seq, Holders: make(map[string]holderLegacy)}
	if v := c.leases.voter; v != nil {
		kept := &voterLegacy{v.bound, v.lost, v.began, v.quarantined, make(map[string]boxLegacy)}
		for unit, b := range v.units {
			box := boxLegacy{
				Node: b.grant.node, Boot: b.grant.boot, Ballot: b.grant.ballot, Until: b.grant.until,
				Answer: b.grant.answer, Highest: b.highest,
				Successor: b.reserved.boot, ReservedUntil: b.reserved.until,
			}
			for _, s := range b.seen {
				box.Seen = append(box.Seen, seenLegacy{s.boot, s.seq, s.at})
			}
			kept.Units[unit] = box
		}
		l.Voter = kept
	}
	for unit, h := range c.leases.holders {
		kept := holderLegacy{
			Ballot: h.ballot, Tenure: h.tenure, Lease: h.lease, Asked: h.asked,
			Epoch: h.epoch, Until: h.until, Highest: h.highest,
		}
		for _, r := range h.replies {
			kept.Replies = append(kept.Replies, replyLegacy{r.voter, r.grant, r.granted, r.reading, r.lease})
		}
		for _, r := range h.releases {
			kept.Releases = append(kept.Releases, releaseLegacy{r.Release, r.waiting, r.until})
		}
		l.Holders[unit] = kept
	}
	return l
}

// Inherit goes on with another Core's life, which has ended. It comes before
// everything else.
func (c *Core) Inherit(l Legacy) {
	c.seq = max(c.seq, l.Seq)
	if l.Voter != nil {
		v := newVoter(c.node, l.Voter.Began)
		v.bound, v.lost, v.quarantined = l.Voter.Bound, l.Voter.Lost, l.Voter.Quarantined
		c.leases.bound = v.bound
		for unit, b := range l.Voter.Units {
			box := v.box(unit)
			box.grant = grantee{owner{b.Node, b.Boot}, b.Ballot, b.Until, b.Answer}
			box.highest, v.granted = b.Highest, max(v.granted, b.Until)
			box.reserved = reserved{b.Successor, b.ReservedUntil}
			for _, s := range b.Seen {
				box.seen = append(box.seen, seen{s.Boot, s.Seq, s.At})
			}
		}
		c.leases.voter = v
	}
	for unit, kept := range l.Holders {
		h := c.leases.holder(unit)
		h.ballot, h.tenure, h.lease, h.asked = kept.Ballot, kept.Tenure, kept.Lease, kept.Asked
		h.epoch, h.until, h.highest, h.heir = kept.Epoch, kept.Until, kept.Highest, true
		for _, r := range kept.Replies {
			h.replies = append(h.replies, reply{r.Voter, r.Grant, r.Granted, r.Reading, r.Lease})
		}
		for _, r := range kept.Releases {
			h.releases = append(h.releases, releasing{r.Release, r.Waiting, r.Until})
		}
	}
}

// encodeLegacy and decodeLegacy carry it between processes of one version.
func encodeLegacy(l Legacy) ([]byte, error) { return json.Marshal(l) }

func decodeLegacy(data []byte) (Legacy, error) {
	var l Legacy
	if err := json.Unmarshal(data, &l); err != nil {
		return Legacy{}, fmt.Errorf("legacy of the arbiter: %w", err)
	}
	return l, nil
}
