package splitbrain

import (
	"context"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// publishEvery is how often the view is published when nothing of substance
// changes, so that ages in it are not far off.
const publishEvery = time.Second

// publishSpacing keeps a burst of changes from being published one by one.
const publishSpacing = 20 * time.Millisecond

// gatherFor is how long sightings wait for others after one has come: many
// addresses are asked at once, and what they answer is judged together.
const gatherFor = 2 * time.Millisecond

// Run works until ctx is done. It may be called once.
func (a *Arbiter) Run(ctx context.Context) error {
	core := NewCore(a.opts.Node, a.opts.Boot, a.opts.Cluster, a.opts.Heartbeat, time.Now())
	core.ElectorateStored(a.opts.Electorate)
	core.SetTracing(a.opts.Trace != nil)
	if len(a.opts.Legacy) > 0 {
		legacy, err := decodeLegacy(a.opts.Legacy)
		if err != nil {
			a.opts.Logger.Error("leases are not taken over: this node votes after a quarantine", "err", err)
		}
		core.Inherit(legacy)
	}
	core.SetBinding(a.opts.Binding)
	core.seq = max(core.seq, a.opts.Seq)
	a.sent.Store(core.seq)
	timer := time.NewTimer(0)
	defer timer.Stop()
	sleep := sleeper{total: a.opts.Suspended}
	sleep.slept()

	var (
		leaving   chan struct{}
		published time.Time
		changed   bool // since published
		kept      kclock.Instant
	)
	for {
		in, gathers := a.take()
		if in.leave != nil {
			leaving = in.leave
		}
		if in.freeze != nil {
			legacy, err := encodeLegacy(core.Legacy())
			if err != nil {
				a.opts.Logger.Error("leases are not handed over", "err", err)
			}
			in.freeze <- legacy
			<-ctx.Done()
			return context.Cause(ctx)
		}
		feed(core, &in)
		now, raw := time.Now(), a.opts.Clock()
		if d := sleep.slept(); d > 0 {
			a.opts.Logger.Warn("the machine was suspended: no lease counts any more", "for", d)
			core.Resumed(raw)
		}
		out := core.Step(now, raw)
		a.sent.Store(core.seq)
		if binding := core.Binding(); binding > kept && a.opts.Keep != nil {
			kept = binding
			a.opts.Keep(binding) // before anything that follows from a grant
		}
		if out.NewWill && a.opts.Will != nil {
			a.will(core, now) // before the record that it takes back
		}
		a.perform(&out)
		changed = changed || out.Changed
		if age := now.Sub(published); age >= publishEvery || changed && age >= publishSpacing {
			published, changed = now, false
			a.opts.Publish(core.View(now, a.opts.Clock()))
		}
		if out.Left && leaving != nil {
			close(leaving)
			leaving = nil
		}

		due := core.Deadline()
		if changed {
			due = earlier(due, published.Add(publishSpacing))
		}
		if err := a.rest(ctx, timer, due, gathers); err != nil {
			return err
		}
	}
}

// rest returns when Run must look again: when something has come, when what
// gathers has had its time, or at due.
func (a *Arbiter) rest(ctx context.Context, timer *time.Timer, due time.Time, gathers bool) error {
	if soon := time.Now().Add(gatherFor); gathers && soon.Before(due) {
		woken, err := a.sleep(ctx, timer, soon)
		if err != nil || woken || a.gathered() {
			return err
		}
	}
	_, err := a.sleep(ctx, timer, due)
	return err
}

func (a *Arbiter) sleep(ctx context.Context, timer *time.Timer, until time.Time) (woken bool, err error) {
	timer.Reset(time.Until(until))
	select {
	case <-a.wake:
		return true, nil
	case <-timer.C:
		return false, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// gathered reports whether anything has gathered. If nothing did, what comes
// wakes Run again.
func (a *Arbiter) gathered() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.inbox.sightings) > 0 {
		return true // take ends it
	}
	a.gathers = false
	return false
}

// take empties the inbox, and reports whether what comes gathers from now on:
// some of it has just come, and had not gathered itself.
func (a *Arbiter) take() (in inbox, gathers bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	in, a.inbox = a.inbox, inbox{}
	a.gathers = !a.gathers && len(in.sightings) > 0
	return in, a.gathers
}

// feed gives the core what came in: levels first, then the queues in order.
func feed(core *Core, in *inbox) {
	if in.hasPeers {
		core.SetMembers(in.members)
	}
	if in.hasFacts {
		core.SetFacts(in.facts)
	}
	if in.fencing != nil {
		core.SetFencing(time.Now(), *in.fencing)
	}
	if in.hasMACs {
		core.SetMACs(in.macs)
	}
	if in.alone > 0 {
		core.SetAloneAfter(in.alone)
	}
	if in.heartbeat > 0 {
		core.SetHeartbeat(in.heartbeat)
	}
	if in.hasAddrs {
		core.SetAddrs(in.addrs)
	}
	if in.hasUnits {
		core.SetUnits(in.units)
	}
	if in.disarmed != nil {
		core.SetDisarmed(*in.disarmed)
	}
	if in.bound != nil {
		core.SetLeaseBound(*in.bound)
	}
	core.SetElectorate(in.electorate)
	core.ElectorateStored(in.stored)
	for i := range in.datagrams {
		r := &in.datagrams[i]
		core.Receive(r.at, &r.datagram, r.path)
	}
	core.Unsent(in.unsent)
	for _, s := range in.sightings {
		core.Sighted(s)
	}
	for _, ev := range in.adverts {
		core.Observe(ev)
	}
	for _, life := range in.fenced {
		core.Fenced(life)
	}
	for _, w := range in.wishes {
		core.RequestHandover(time.Now(), w.unit, w.to)
	}
	if in.leave != nil {
		core.Leave()
	}
}

// perform carries out what the core says, verdicts first.
func (a *Arbiter) perform(out *Output) {
	if len(out.Verdicts) > 0 {
		a.opts.Deliver(out.Verdicts)
	}
	switch {
	case out.Store == nil:
	case a.opts.StoreElectorate == nil:
		a.ElectorateStored(*out.Store)
	default:
		a.opts.StoreElectorate(*out.Store)
	}
	if len(out.Probes) > 0 && a.opts.Probe != nil {
		a.opts.Probe(out.Probes)
	}
	if a.opts.Verified != nil {
		for _, v := range out.Verified {
			a.opts.Verified(v)
		}
	}
	if out.Record != nil {
		payloads, err := Encode(out.Record)
		if err != nil {
			a.opts.Logger.Error("heartbeat not sent", "err", err)
		}
		a.opts.Send(out.To, payloads)
	}
	for i := range out.Relays {
		r := &out.Relays[i]
		p, err := EncodeRelay(&r.Datagram)
		if err != nil {
			a.opts.Logger.Warn("record not relayed", "node", r.Datagram.Record.Node, "err", err)
			continue
		}
		a.opts.Send([]string{r.To}, [][]byte{p})
	}
	for _, r := range out.Refused {
		a.opts.Logger.Info("hand-over refused", "unit", r.Unit, "reason", r.Reason)
	}
	for _, t := range out.Traced {
		a.opts.Trace(t)
	}
	for _, alert := range out.Alerts {
		a.opts.Alert(alert)
	}
}
