package splitbrain

import (
	"maps"
	"slices"
	"time"
)

// Will is what others shall be told when this process has died, each datagram
// as one of Options.Send. Whoever keeps it sends it only after it has verified
// that the gates of all units are closed and their addresses gone: it says that
// their tenures are over, and gives their leases back. Nothing of this life
// counts after it.
type Will []Outgoing

// Outgoing is a datagram for one member.
type Outgoing struct {
	To      string
	Payload []byte
}

// Will makes the last will of this life as of now.
func (c *Core) Will(now time.Time) Record {
	r := Record{
		Cluster: c.table.cluster, Node: c.node, Boot: c.table.boot, Seq: LastSeq,
		Interval: c.interval, Acks: c.table.acks(now), Electorate: c.leases.elect.stored,
		Addrs: slices.Clone(c.sources), Facts: c.facts,
		Claims: make([]Claim, 0, len(c.order)),
	}
	for _, u := range c.order {
		gone := ownUnit{view: u.view, vips: u.vips}
		v := &gone.view
		v.State, v.Since, v.Wants, v.Eligible, v.Released = Init, now, WantNothing, false, true
		v.Heard = Advert{}
		r.Claims = append(r.Claims, gone.claim(now))
	}
	for _, unit := range slices.Sorted(maps.Keys(c.leases.holders)) {
		h := c.leases.holders[unit]
		for i := range h.releases {
			r.Releases = append(r.Releases, h.releases[i].Release)
		}
		if h.ballot != 0 {
			r.Releases = append(r.Releases, Release{Unit: unit, Ballot: h.ballot, Seq: LastSeq})
		}
	}
	return r
}

// will encodes the last will for all members.
func (a *Arbiter) will(core *Core, now time.Time) {
	r := core.Will(now)
	payloads, err := Encode(&r)
	if err != nil {
		a.opts.Logger.Error("last will not made", "err", err)
		return
	}
	var w Will
	for _, m := range core.table.members {
		for _, p := range payloads {
			w = append(w, Outgoing{m.Name, p})
		}
	}
	a.opts.Will(w)
}
