package splitbrain

import (
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// refusalLife is how long a refusal is repeated.
const refusalLife = 2 * time.Second

// ownUnit is one unit of this node.
type ownUnit struct {
	view    UnitView
	memory  Memory
	vips    vipSummary
	dirty   bool
	calm    bool // see Decision.Calm
	wake    time.Time
	overdue overdue
	request *Request
	alerts  []Alert

	blocked bool   // another unit's claim lists one of its addresses
	invited uint64 // the latest invitation followed

	networks []unitNetwork
	evidence []NetworkEvidence // scratch
	volley   volley
	check    time.Time // when the last answers to a burst have had their time
	verify   verification
	path     PathState // as last judged, with what else a claim says of probes
	began    time.Time
	sight    SightKind
	sightOf  BootID
	sightAt  time.Time

	claimed uint64 // tenure for which first stands
	first   uint64 // our first record that claimed it
	said    uint64 // fingerprint of the claim last sent
	traced  gist   // of the last decision
}

// decide runs the rules for one unit and notes what comes of it.
func (c *Core) decide(now time.Time, raw kclock.Instant, u *ownUnit, out *Output) {
	v := &c.view
	*v = View{
		Now: now, Node: c.node, Boot: c.table.boot, Heartbeat: c.interval,
		Unit: &u.view, Memory: u.memory, Disarmed: c.disarmed(now),
	}
	if u.claimed == u.view.Tenure.Seq {
		v.First = u.first
	}
	if u.view.Policy == PolicyQuorum {
		v.Lease = c.leaseView(u, raw)
	}
	c.gather(v)
	u.blocked = false
	if u.view.State == Backup {
		if m, h := c.table.elsewhere(u.view.Name, u.vips.list); m != nil {
			v.Elsewhere = &Elsewhere{Node: m.Name, Unit: h.Unit, At: h.at, Interval: m.interval}
			u.blocked, c.blocked = true, true
		}
	}
	v.Evidence, v.Contact = c.survey(now, u), c.contact()
	v.Started, v.AloneAfter = c.started, c.aloneAfter
	d := Decide(v)
	if c.tracing {
		c.trace(u, v, &d, out)
	}
	u.dirty, u.calm, u.wake, u.overdue = false, d.Calm, d.Wake, c.overdue(u, &d)
	u.memory, u.request, u.alerts = d.Memory, d.Request, d.Alerts
	c.heed(now, u, v, &d)
	if d.Refused != "" {
		out.Refused = append(out.Refused, Refused{u.view.Name, d.Refused})
	}
	for _, verdict := range d.Verdicts {
		out.Verdicts = append(out.Verdicts, UnitVerdict{u.view.Name, verdict})
	}
	for _, r := range d.Refusals {
		c.refuse(now, r)
	}
	c.lease(now, raw, u, &d)
	if said := u.claim(now).fingerprint(); said != u.said {
		u.said = said
		c.urgent, c.changed, c.newWill = true, true, true
	}
	c.urgent = c.urgent || d.Urgent
}

// gather collects what the members say of the unit.
func (c *Core) gather(v *View) {
	peers := c.peers[:0]
	for _, m := range c.table.members {
		h := m.claims[v.Unit.Name]
		if h == nil {
			continue
		}
		for _, r := range m.requests {
			if r.Unit == v.Unit.Name && r.Tenure.Boot == c.table.boot {
				v.Requests = append(v.Requests, PeerRequest{len(peers), r})
			}
		}
		peers = append(peers, Peer{
			Node: m.Name, Boot: m.boot, Leaving: m.leaving, Interval: m.interval,
			Addrs: m.sources, RTT: m.rtt,
			Claim: &h.Claim, At: h.at, Via: m.via, Regained: m.regained,
			MasterSeq: h.masterSeq, MasterSince: h.masterSince, MasterCount: h.masterCount,
			Acks: m.acks, AckedAt: m.at, Knows: m.heardSeq, KnownAt: m.heardAt,
		})
		for _, r := range m.refusals {
			if r.To == c.table.boot {
				v.Answers = append(v.Answers, r)
			}
		}
	}
	v.Peers, c.peers = peers, peers
}

// refuse repeats a refusal in the next records. The request that it answers is
// repeated as well, so it may be there already.
func (c *Core) refuse(now time.Time, r Refusal) {
	r.Reason = r.Reason[:min(len(r.Reason), MaxReason)]
	for i := range c.refusals {
		if old := &c.refusals[i]; old.ID == r.ID && old.To == r.To {
			old.until = now.Add(refusalLife)
			return
		}
	}
	c.refusals = append(c.refusals, datedRefusal{r, now.Add(refusalLife)})
	c.urgent = true
}

type datedRefusal struct {
	Refusal
	until time.Time
}

func (c *Core) allDirty() {
	for _, u := range c.order {
		u.dirty = true
	}
}
