package splitbrain

import (
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
