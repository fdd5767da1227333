package splitbrain

import (
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// send makes the next record, and the relays that a heartbeat carries.
func (c *Core) send(now time.Time, raw kclock.Instant, out *Output) {
	c.seq++
	r := &Record{
		Cluster: c.table.cluster, Node: c.node, Boot: c.table.boot, Seq: c.seq,
		Leaving: c.leaving > 0, Interval: c.interval,
		Acks:  c.table.acks(now),
		Addrs: slices.Clone(c.sources), MACs: c.macs, Facts: c.facts,
		Claims: make([]Claim, 0, len(c.order)),
	}
	for _, u := range c.order {
		r.Claims = append(r.Claims, u.claim(now))
		if u.request != nil {
			r.Requests = append(r.Requests, *u.request)
		}
		if u.view.State == Master && (u.claimed != u.view.Tenure.Seq || u.first == 0) {
			u.claimed, u.first = u.view.Tenure.Seq, c.seq
		}
		c.noteAnswers(u)
	}
	for _, f := range c.fencing {
		f.Age = now.Sub(f.at)
		r.Fencing = append(r.Fencing, f.FenceWord)
	}
	for i := range c.parted {
		r.Claims = append(r.Claims, c.parted[i].claim(now))
		c.parted[i].records--
	}
	c.parted = slices.DeleteFunc(c.parted, func(p parted) bool { return p.records == 0 })
	for _, f := range c.refusals {
		r.Refusals = append(r.Refusals, f.Refusal)
	}
	for _, v := range c.invites {
		r.Invites = append(r.Invites, v.Invite)
	}
	for _, m := range c.table.members {
		if m.answered == 0 && c.counts(now, m) {
			m.answered = c.seq
		}
	}
	c.sayLeases(now, raw, r)
	c.table.Sent(c.seq, now)
	c.credit = later(c.credit, now).Add(c.spacing())
	c.sentAt, c.urgent = now, false
	out.Record, out.To = r, c.table.names
	for _, m := range c.table.members {
		for _, author := range c.table.members {
			if now.Sub(author.at) < 3*c.interval/2 || !c.counts(now, author) ||
				!c.table.lacks(m, author, 5*c.interval/2, now) {
				continue
			}
			for i := range author.latest {
				out.Relays = append(out.Relays, OutRelay{To: m.Name, Datagram: Datagram{
					Via: c.node, Age: now.Sub(author.at), Record: author.latest[i],
				}})
			}
		}
	}
	if c.leaving > 0 {
		if c.leaving--; c.leaving == 0 {
			c.left, out.Left = true, true
		} else {
			c.urgent = true
		}
	}
}

// noteAnswers notes which claims of MASTER the record in the making is the
// first to acknowledge.
func (c *Core) noteAnswers(u *ownUnit) {
	if u.view.State != Master {
		return
	}
	for _, m := range c.table.members {
		if h := m.claims[u.view.Name]; h != nil && h.State == Master && h.answered == 0 {
			h.answered = c.seq
		}
	}
}
