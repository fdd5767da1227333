package splitbrain

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Traced is one decision with all that it was made from: Decide comes to the same
// one from the same View, or the code has changed.
type Traced struct {
	View View
	Was  []string // what was decided, in words
}

// Replay decides again and says in words what comes of it.
func (t *Traced) Replay() []string {
	v := t.View.clone()
	d := Decide(v)
	return d.Words(v.Now)
}

// gist is what makes a decision worth keeping: one that differs in it from the
// one before. What a steady state repeats is not in it.
type gist struct {
	state    State
	wants    Want
	leased   bool
	disarmed bool
	holder   TenureID
	request  uint64
	refusals int
	alerts   int
	told     uint8 // kinds of verdicts that are not repeated
}

func gistOf(v *View, d *Decision) gist {
	g := gist{
		state: v.Unit.State, wants: v.Unit.Wants, leased: v.Lease.Ballot != 0, disarmed: v.Disarmed,
		holder: d.Memory.holder, refusals: len(d.Refusals), alerts: len(d.Alerts),
	}
	if d.Request != nil {
		g.request = d.Request.ID
	}
	for _, verdict := range d.Verdicts {
		switch verdict.(type) {
		case TakeOver:
			g.told |= 1
		case Yield:
			g.told |= 2
		case Reannounce:
			g.told |= 4
		case Hold, Members, Lease: // repeated
		default:
			panic("splitbrain: unknown verdict")
		}
	}
	return g
}

// trace keeps the decision if it differs from the one before.
func (c *Core) trace(u *ownUnit, v *View, d *Decision, out *Output) {
	g := gistOf(v, d)
	if g == u.traced {
		return
	}
	u.traced = g
	out.Traced = append(out.Traced, &Traced{View: *v.clone(), Was: d.Words(v.Now)})
}

// clone copies what later records and views change. What is behind slices is not
// changed by anybody.
func (v *View) clone() *View {
	c := *v
	unit := *v.Unit
	c.Unit = &unit
	c.Peers = slices.Clone(v.Peers)
	for i := range c.Peers {
		claim := *c.Peers[i].Claim
		c.Peers[i].Claim = &claim
	}
	c.Evidence.Networks = slices.Clone(v.Evidence.Networks)
	for i := range c.Evidence.Networks {
		n := &c.Evidence.Networks[i]
		n.Gateways, n.Members, n.Answers = slices.Clone(n.Gateways), slices.Clone(n.Members), slices.Clone(n.Answers)
	}
	if v.Elsewhere != nil {
		elsewhere := *v.Elsewhere
		c.Elsewhere = &elsewhere
	}
	return &c
}

// Words says what was decided, a line for each thing, with times counted from now.
func (d *Decision) Words(now time.Time) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	in := func(t time.Time) string { return fmt.Sprintf("%+.3fs", t.Sub(now).Seconds()) }
	for _, verdict := range d.Verdicts {
		switch w := verdict.(type) {
		case Hold:
			if w.Until.IsZero() {
				add("hold no more")
				continue
			}
			add("stay BACKUP until %s, then wait %v: %s", in(w.Until), w.Rank, w.Reason)
		case TakeOver:
			add("take over after %v: %s", w.After, w.Reason)
		case Yield:
			add("let go of tenure %d for %s: %s", w.Tenure, w.Successor, w.Reason)
		case Members:
			add("members in two-way contact: %v", w.Addrs)
		case Lease:
			add("lease of tenure %d until raw clock %d", w.Tenure, w.Until)
		case Reannounce:
			add("announce again: %s", w.Reason)
		default:
			panic("splitbrain: unknown verdict")
		}
	}
	for _, a := range d.Alerts {
		add("alert %s: %s", a.Kind, strings.TrimSpace(a.Summary))
	}
	for _, r := range d.Refusals {
		add("refuse request %d of life %x: %s", r.ID, r.To, r.Reason)
	}
	if r := d.Request; r != nil {
		add("ask the holder to end tenure %x/%d", r.Tenure.Boot, r.Tenure.Seq)
	}
	if d.Refused != "" {
		add("not got: %s", d.Refused)
	}
	if d.Look {
		add("probe the unit's networks")
	}
	if d.Burst != "" {
		add("probe the addresses, and those of %s, quickly", d.Burst)
	}
	if d.Asks {
		add("ask the voters for the lease")
	}
	if len(out) == 0 {
		return []string{"nothing"}
	}
	return out
}
