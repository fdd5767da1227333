package observed

import (
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/vrrp"
)

// S67, S69: where one holder cannot be promised, the status says for how long there may
// be two.
func TestGapsSayHowLongTwoMayAnswer(t *testing.T) {
	guard := func(advert, lease time.Duration, missing string, change func(*Guard)) Guard {
		g := Guard{Policy: "mesh", Unit: vrrp.UnitStatus{
			Name: "vi_1", Gate: vrrp.GateStatus{Lease: lease, Missing: missing}, Instances: []vrrp.InstanceStatus{{AdvertInterval: advert}}}}
		if change != nil {
			change(&g)
		}
		return g
	}
	tests := []struct {
		name   string
		guards []Guard
		want   string
	}{
		{"a gate of two adverts", []Guard{guard(time.Second, 2*time.Second, "", nil)}, ""},
		{"no gate, and adverts that are slower than addresses expire", []Guard{guard(time.Second, 0, "no clsact", nil)},
			"vi_1: no kernel gate (no clsact): a holder that is killed answers until its addresses expire, before another one takes over"},
		{"no gate, and quick adverts", []Guard{guard(250*time.Millisecond, 0, "no clsact", nil)},
			"vi_1: no kernel gate (no clsact): two may answer for up to 1.3s after a holder hangs"},
		{"the gate is off", []Guard{guard(time.Second, 0, "", nil)}, "vi_1: kernel_lease is off: a holder"},
		{"two adverts are waited for", []Guard{guard(time.Second, 2*time.Second, "", func(g *Guard) { g.DownTimerAdverts = 2 })},
			"vi_1: the gate stays open for 2s, and 2 adverts are waited for: two may answer for up to 220ms after a holder hangs"},
		{"three adverts of 10 ms", []Guard{guard(10*time.Millisecond, 20*time.Millisecond, "", nil)},
			"vi_1: the gate stays open for 20ms, and 3 adverts are waited for: two may answer for up to 10ms after a holder hangs"},
		{"with quorum the lease closes it", []Guard{guard(time.Second, 2*time.Second, "", func(g *Guard) { g.DownTimerAdverts, g.Policy = 2, "quorum" })}, ""},
		{"with quorum the lease outlasts the addresses", []Guard{guard(250*time.Millisecond, 0, "no BPF", func(g *Guard) { g.Policy = "quorum" })},
			"vi_1: no kernel gate (no BPF): a holder that is killed answers until its addresses expire, before another one takes over"},
		{"policy off", []Guard{guard(time.Second, 2*time.Second, "", func(g *Guard) { g.Policy = "off" })}, "vi_1: split_brain policy off"},
		{"many units are named once", []Guard{
			guard(time.Second, 0, "x", nil), guard(time.Second, 0, "x", func(g *Guard) { g.Unit.Name = "vi_2" }), guard(100*time.Millisecond, 0, "x", func(g *Guard) { g.Unit.Name = "vi_3" }),
		}, "vi_1 and 2 more: no kernel gate (x): two may answer for up to 1.75s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Join(Gaps(tt.guards), "\n")
			if tt.want == "" && got != "" || !strings.HasPrefix(got, tt.want) {
				t.Errorf("Gaps = %q, want %q", got, tt.want)
			}
		})
	}
}
