package scenario

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// Result is what one run measured.
type Result struct {
	E, Dark         time.Duration // while the fault lasted
	HealE, HealDark time.Duration // from the heal on
	Alert           time.Duration // from the strike to the last alert that was promised
	Alerted         bool          // one was promised and came
	Moves           int           // changes of holder
	Takeover        time.Duration // last advert of the first holder to the first one of the second
	Counted         time.Duration // how much of it the machine had a processor for
	TookOver        bool          // there was such a change
	Struck          bool          // the fault came: what is above counts
	Stall           time.Duration // longest time for which a daemon had to wait for a processor
	Repeated        int           // attempts that said nothing
}

// attempts bounds how often a run is repeated because the machine stood still.
const attempts = 3

// Run runs a row and fails the story where the promise is broken. When a thread
// of the daemons' priority with nothing else to do was kept waiting for longer
// than Slack, the machine had no processor for them: what came too late then says
// nothing of the daemons, and the run is repeated. Two holders are never excused.
func Run(t lab.T, row Scenario, subject Subject) Result {
	t.Helper()
	for attempt := 1; ; attempt++ {
		var log bytes.Buffer
		var r Result
		err := lab.Run(fmt.Sprintf("%s_%d", t.Name(), attempt), &log, func(t lab.T) { once(t, row, subject, &r) })
		r.Repeated = attempt - 1
		if err == nil {
			return r
		}
		if r.Stall > Slack && attempt < attempts && !strings.Contains(err.Error(), "held twice") {
			t.Logf("%v, %s: the machine stood still for %v; repeated, since %v", row, subject, r.Stall, err)
			continue
		}
		t.Logf("%s", log.Bytes())
		t.Errorf("%v, %s: %v", row, subject, err)
		return r
	}
}

// once is one attempt. It fills in the result as it goes, because a story that
// fails ends where it stands.
func once(t lab.T, row Scenario, subject Subject, r *Result) {
	t.Helper()
	promise := row.Promise[subject]
	judged := subject != Keepalived
	w := build(t, row, subject, r)
	if judged && promise.Alert != "" {
		for _, i := range promise.On {
			w.feeds = append(w.feeds, w.Daemons[i].FollowAlerts())
		}
		lab.During(100 * time.Millisecond) // they are connected
	}

	w.Struck, r.Struck = time.Now(), true
	measured := false
	t.Cleanup(func() { // a story that ended before its time was watched all the same
		if !measured {
			seen := w.Watch.Since(w.Struck)
			r.E, r.Dark = seen.E(VIP), seen.Dark(VIP)
		}
	})
	row.Fault(w)
	lab.During(row.Lasts - time.Since(w.Struck))
	if judged {
		w.wantHolder(promise.Holder)
		w.wantVerdict(promise)
	}
	ended := time.Now()
	struck := w.Watch.Between(w.Struck, ended)
	r.E, r.Dark, measured = struck.E(VIP), struck.Dark(VIP), true
	if judged {
		within(struck.WantNeverTwo, promise.E)
		within(struck.WantDarkAtMost, promise.Dark)
		if !promise.AtHeal {
			w.wantAlerts(promise, w.Struck, r)
		}
	}
	around := w.Watch.Between(w.Struck.Add(-row.advert()-Slack), ended)
	change, tookOver := around.Takeover(4, VRID, w.Nodes[0], w.Nodes[1])
	r.Takeover, r.Counted, r.TookOver = change.Length(), around.Counted(change), tookOver
	if judged && promise.Takeover > 0 {
		limit := promise.Takeover + Slack
		lab.Margin(t, "take-over", r.Counted, limit)
		if !tookOver || r.Counted > limit {
			t.Errorf("%s took over %v after the last advert of %s, of which %v count, want at most %v: %v", w.Nodes[1].Name, r.Takeover,
				w.Nodes[0].Name, r.Counted, limit, around.Reigns(4, VRID))
		}
	}
	if row.Heal != nil {
		w.Healed = time.Now()
		row.Heal(w)
		lab.During(row.After - time.Since(w.Healed))
		if judged {
			w.wantHolder(promise.Returned)
		}
		healed := w.Watch.Since(w.Healed)
		r.HealE, r.HealDark = healed.E(VIP), healed.Dark(VIP)
		if judged {
			if promise.AtHeal {
				w.wantAlerts(promise, w.Healed, r)
			}
			within(healed.WantNeverTwo, promise.HealE)
			within(healed.WantDarkAtMost, max(promise.HealDark, Slack))
		}
	}
	all := w.Watch.Since(w.Struck.Add(-100 * time.Millisecond)) // begins with who held at the strike
	whole := all.Series(VIP, lab.ByEcho)
	r.Moves = max(0, len(whole.Nodes())-1)
	if most := promise.Moves + overtaken(row, subject, promise, all.Stall()); judged && promise.E != Unbounded && r.Moves > most {
		t.Errorf("%v moved %d times, want at most %d: %v", VIP, r.Moves, most, whole)
	}
	if judged && row.Check != nil {
		row.Check(w)
	}
}

// overtaken is how many changes of holder more there may be where one succeeds
// another: the third may be first, and hands the address on to the second. Voters
// give a lease to whoever they hear first when it is free, and otherwise a second
// that got no processor when its turn came, for longer than its timer is ahead of the
// third's, is overtaken.
func overtaken(row Scenario, subject Subject, promise Promise, stall time.Duration) int {
	if promise.Moves > 0 && (subject == Quorum || stall > row.MasterDown(2)-row.MasterDown(1)) {
		return 1
	}
	return 0
}

func within(want func(time.Duration, ...netip.Addr), limit time.Duration) {
	if limit != Unbounded {
		want(limit, VIP)
	}
}

// wantHolder waits a moment for who must answer now.
func (w *World) wantHolder(i Index) {
	w.T.Helper()
	switch i {
	case Any:
	case None:
		if nodes := w.answering(); len(nodes) > 0 {
			w.T.Errorf("%v is answered by %v, want by nobody", VIP, nodes)
		}
	default:
		w.Watch.WantHolder(w.Nodes[i], VIP, 3*time.Second)
	}
}

// wantVerdict waits until a member's status judges as promised. People take a
// member that fell silent for dead after seconds.
func (w *World) wantVerdict(p Promise) {
	w.T.Helper()
	if p.Verdict == "" {
		return
	}
	asked := w.Daemons[cmp.Or(p.Asked, 1)]
	lab.Want(w.T, 6*time.Second, fmt.Sprintf("status on %s says %s … %s", asked.Name, p.Verdict, p.Because), func() (string, bool) {
		first, _, _ := strings.Cut(asked.Ctl("status").Stdout, "\n")
		return first, strings.HasPrefix(first, string(p.Verdict)+"  ") && strings.Contains(first, p.Because)
	})
}

// answering are the nodes that have answered lately, by either kind of probe.
func (w *World) answering() []string {
	lately := w.Watch.Since(time.Now().Add(-100 * time.Millisecond))
	nodes := append(lately.Series(VIP, lab.ByNeighbour).Nodes(), lately.Series(VIP, lab.ByEcho).Nodes()...)
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// wantAlerts waits for the promised alert on each node that shall raise it. The
// limit counts from the given moment.
func (w *World) wantAlerts(p Promise, from time.Time, r *Result) {
	w.T.Helper()
	for i, feed := range w.feeds {
		node := w.Nodes[p.On[i]].Name
		var alert lab.Alert
		what := fmt.Sprintf("%s raises %s with %q", node, p.Alert, p.Words)
		lab.Want(w.T, time.Until(from.Add(p.AlertWithin+Slack)), what, func() (string, bool) {
			var ok bool
			alert, ok = feed.First(from, node, p.Alert, p.Words...)
			return feed.Log(), ok
		})
		r.Alert, r.Alerted = max(r.Alert, alert.At.Sub(from)), true
		if took := alert.At.Sub(from); took > p.AlertWithin+Slack {
			w.T.Errorf("%s after %v, want within %v", what, took, p.AlertWithin)
		}
	}
}
