package splitbrain

import (
	"testing"
	"time"
)

// R5 for a holder under policy mesh.
func TestHolderLetsGoOnlyWhenAllFellSilentTogether(t *testing.T) {
	const cut = 2 * time.Second
	gone := silentFor(cut)
	tests := []struct {
		name   string
		change func(*View)
		want   bool
	}{
		{"gateway and members at once", func(*View) {}, true},
		{"S51: the peer is off since an hour", func(v *View) {
			alone(v, 30*time.Minute)
			v.Evidence.Networks[0].Members[0].Echo = silentFor(30 * time.Minute)
		}, false},
		{"S51: the peer said goodbye", func(v *View) { v.Contact = Contact{} }, false},
		{"the gateway was dead before", func(v *View) { v.Evidence.Networks[0].Gateways[0] = silentFor(time.Minute) }, false},
		{"S51a: no gateway is known", func(v *View) { v.Evidence.Networks[0].Gateways = nil }, false},
		{"S51a: the gateway has never answered", func(v *View) {
			v.Evidence.Networks[0].Gateways[0] = Echo{Asked: now, Silent: 50, SilentSince: now.Add(-cut)}
		}, false},
		{"the gateway answers", func(v *View) { v.Evidence.Networks[0].Gateways[0] = answering() }, false},
		{"S52: a member's own address answers", func(v *View) { v.Evidence.Networks[0].Members[0].Echo = answering() }, false},
		{"F16: records are blocked and addresses answer", func(v *View) {
			v.Evidence = onNetwork([]Echo{answering()}, answering(), false, Echo{})
		}, false},
		{"a relayed record", func(v *View) { v.Contact.Last = now.Add(-100 * ms) }, false},
		{"an advert of a third one", func(v *View) {
			v.Unit.Heard = Advert{From: addr("192.0.2.3"), Priority: 1, At: now.Add(-100 * ms)}
		}, true},
		{"two rounds of probes", func(v *View) {
			v.Evidence.Networks[0].Gateways[0] = silentFor(200 * ms)
			v.Evidence.Networks[0].Members[0].Echo = silentFor(200 * ms)
		}, false},
		{"S73: a fabric answers for all", func(v *View) { v.Evidence.Networks[0].Fabric = true }, false},
		{"policy off", func(v *View) { v.Unit.Policy = PolicyOff }, false},
		{"no probes at all", func(v *View) { v.Evidence = Evidence{} }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := view(ownView(Master), peer(Backup))
			alone(v, cut)
			v.Evidence = onNetwork([]Echo{gone}, gone, false, Echo{})
			tt.change(v)
			yields := verdictsOf(Decide(v))
			if got := len(yields) == 1 && yields[0].Successor == ""; got != tt.want {
				t.Errorf("verdicts %v, want to let go: %v", yields, tt.want)
			}
		})
	}
}

// R5 for a BACKUP under policy mesh: a hold, or none.
func TestBackupThatHearsNobodyWaitsForAnAnswer(t *testing.T) {
	const cut = 4 * time.Second
	never := Echo{Asked: now, Silent: 9, SilentSince: now.Add(-cut)}
	tests := []struct {
		name   string
		change func(*View)
		want   time.Duration // of the hold; 0: none
	}{
		{"isolated", func(*View) {}, cutOffHold},
		{"the gateway answered after the last record, but before there was doubt", func(v *View) {
			v.Evidence.Networks[0].Gateways[0] = Echo{Asked: now.Add(-10 * ms), Answered: now.Add(-cut + 500*ms), Began: now.Add(-cut + 499*ms)}
		}, cutOffHold},
		{"the gateway answers: the holder is dead", func(v *View) { v.Evidence.Networks[0].Gateways[0] = answering() }, 0},
		{"a member's own address answers", func(v *View) { v.Evidence.Networks[0].Members[0].Echo = answering() }, 0},
		{"the gateway answered before the last record only", func(v *View) {
			v.Evidence.Networks[0].Gateways[0] = Echo{Asked: now.Add(-10 * ms), Answered: now.Add(-cut - 1), Began: now.Add(-cut - 2)}
		}, cutOffHold},
		{"S51a: no gateway", func(v *View) { v.Evidence.Networks[0].Gateways = nil }, 0},
		{"S51a: the gateway never answered", func(v *View) { v.Evidence.Networks[0].Gateways[0] = never }, 0},
		{"F14: the gateway was dead before the holder", func(v *View) { v.Evidence.Networks[0].Gateways[0] = silentFor(time.Minute) }, 0},
		{"a record comes", func(v *View) { v.Contact.Last = now.Add(-100 * ms) }, 0},
		{"nobody else is configured", func(v *View) { v.Contact.Members = 0 }, 0},
		{"S53: at power-on the gateway has not answered yet", func(v *View) {
			v.Contact.Last, v.Started = time.Time{}, now.Add(-10*time.Second)
			v.Evidence.Networks[0].Gateways[0], v.Evidence.Networks[0].Members = never, nil
		}, cutOffHold},
		{"S53: nor at the end of alone_after", func(v *View) {
			v.Contact.Last, v.Started = time.Time{}, now.Add(-30*time.Second)
			v.Evidence.Networks[0].Gateways[0], v.Evidence.Networks[0].Members = never, nil
		}, 0},
		{"just back, what else comes back is heard first", func(v *View) {
			v.Memory.cutOff, v.Memory.waiting = now.Add(-300*ms), true
			v.Evidence.Networks[0].Gateways[0] = answering()
		}, cutOffHold - 300*ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := view(ownView(Backup))
			alone(v, cut)
			v.Evidence = onNetwork([]Echo{silentFor(cut)}, silentFor(cut), false, silentFor(cut))
			tt.change(v)
			var got time.Duration
			for _, verdict := range verdicts(v) {
				if h, ok := verdict.(Hold); ok && !h.Until.IsZero() {
					got = h.Until.Sub(now)
				}
			}
			if got != tt.want {
				t.Errorf("held for %v, want %v", got, tt.want)
			}
		})
	}
}

func TestTheHoldOfALoneNodeEndsWithTheAnswer(t *testing.T) {
	v := view(ownView(Backup))
	alone(v, 4*time.Second)
	v.Memory.waiting, v.Memory.hold = true, Hold{Until: now.Add(700 * ms)}
	v.Evidence = onNetwork([]Echo{answering()}, silentFor(time.Second), false, silentFor(time.Second))
	if got := verdicts(v); len(got) != 1 || got[0] != (Hold{}) {
		t.Errorf("verdicts %v, want the hold to end", got)
	}
}

// A unit whose timer has ended follows each verdict at once: between two holds
// it would take over.
func TestTheHoldOfALoneNodeIsReplacedWithoutAGap(t *testing.T) {
	v := view(ownView(Backup), peer(Master))
	v.Contact, v.Started = Contact{Members: 1, Last: now.Add(-100 * ms), Every: 200 * ms}, t0
	v.Memory.waiting, v.Memory.hold = true, Hold{Until: now.Add(10 * time.Second)}
	want := []Verdict{Hold{Until: now.Add(fresh2s - 100*ms)}}
	if diff := diffVerdicts(want, verdicts(v)); diff != "" {
		t.Errorf("verdicts: -want +got\n%s", diff)
	}
}
