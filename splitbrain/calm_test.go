package splitbrain

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/internal/rules"
)

// holdsOf gives the Holds among verdicts.
func holdsOf(verdicts []UnitVerdict) (holds []Hold) {
	for _, v := range verdicts {
		if h, ok := v.Verdict.(Hold); ok {
			holds = append(holds, h)
		}
	}
	return holds
}

func TestRepeatedClaimsProlongAHoldOnceASecond(t *testing.T) {
	in(t, []string{"n1", "n2"}, func(t *testing.T, l *lan) {
		l.nodes["n1"].arbiter.SetUnits([]UnitView{unitOf(1, Master)})
		l.nodes["n2"].arbiter.SetUnits([]UnitView{unitOf(2, Backup)})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		l.locked(func() {
			holds := holdsOf(l.nodes["n2"].verdicts)
			if len(holds) < 5 || len(holds) > 15 {
				t.Errorf("%d holds in 10 s, want about one in each", len(holds))
			}
			for i, h := range holds[1:] {
				if h.Until.Before(holds[i].Until) {
					t.Errorf("hold %d ends before the one before it", i+1)
				}
			}
			if last := holds[len(holds)-1]; time.Until(last.Until) < minHold-200*ms {
				t.Errorf("the last hold ends in %v, want at least %v: it was not prolonged in time", time.Until(last.Until), minHold-200*ms)
			}
		})
	})
}

func TestHoldOfADeadHolderEndsWithItsFreshestClaim(t *testing.T) {
	for death := time.Duration(0); death < time.Second; death += 130 * ms {
		in(t, []string{"n1", "n2"}, func(t *testing.T, l *lan) {
			l.nodes["n1"].arbiter.SetUnits([]UnitView{unitOf(1, Master)})
			l.nodes["n2"].arbiter.SetUnits([]UnitView{unitOf(2, Backup)})
			time.Sleep(5*time.Second + death)
			l.locked(func() { l.cut = true })
			time.Sleep(2 * time.Second)
			synctest.Wait()
			l.locked(func() {
				n2 := l.nodes["n2"]
				holds := holdsOf(n2.verdicts)
				said := n2.view.Members[0].At
				fresh := unitOf(2, Backup)
				if got, want := holds[len(holds)-1].Until, said.Add(fresh.fresh(rules.DefaultHeartbeat)); !got.Equal(want) {
					t.Errorf("death after %v: the last hold ends %v from when the claim does", death, got.Sub(want))
				}
			})
		})
	}
}

func TestACalmBackupIsDecidedWhenItsHolderIsOverdue(t *testing.T) {
	const late = 5 * ms // as records come through a network
	c := newCore(Backup)
	u := c.units["VI_1"]
	record := Record{
		Cluster: 9, Node: "n2", Boot: 22, Interval: rules.DefaultHeartbeat, Addrs: []netip.Addr{addr("192.0.2.2")},
		Claims: []Claim{{
			Unit: "VI_1", State: Master, Eligible: true, Priority: 200, Primary: addr("192.0.2.2"), VIPs: u.view.VIPs,
			Tenure: Tenure{Seq: 1, Priority: 200, Primary: addr("192.0.2.2")},
		}},
	}
	clock, said, next, decided := t0, t0, t0, 0
	for clock.Before(t0.Add(10 * time.Second)) {
		if clock = earlier(later(c.Deadline(), clock.Add(1)), next); clock.Equal(next) {
			said = clock
			record.Seq++
			next = t0.Add(time.Duration(record.Seq)*rules.DefaultHeartbeat + time.Duration(record.Seq%2)*late)
			record.Acks = []Ack{{Boot: 1, Known: c.seq, Direct: c.seq}}
			c.Receive(clock, &Datagram{Record: record}, "eth0")
		}
		rest := u.overdue.rest
		step(c, clock)
		if u.overdue.rest != rest {
			decided++
		}
	}
	if !u.calm || decided > 25 {
		t.Errorf("calm %v after %d decisions in 10 s, want calm and 25 at most", u.calm, decided)
	}

	// Now nothing comes any more, and what is overdue is looked at.
	due := said.Add(2 * rules.DefaultHeartbeat)
	for ; clock.Before(due); clock = later(c.Deadline(), clock.Add(1)) {
		if step(c, clock); !u.calm {
			t.Fatalf("the holder is overdue %v after its last word, want %v", clock.Sub(said), due.Sub(said))
		}
	}
	if step(c, clock); u.calm || clock != due {
		t.Errorf("calm %v at %v after the last word, want an end of it at %v", u.calm, clock.Sub(said), due.Sub(said))
	}
}
