package arbitrate

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/internal/kclock"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

func TestVerdictsReachUnitsInTheirOrder(t *testing.T) {
	until := time.Unix(9, 0)
	peer := netip.MustParseAddr("192.0.2.1")
	got := Deliveries([]splitbrain.UnitVerdict{
		{Unit: "VI_1", Verdict: splitbrain.Members{Addrs: []netip.Addr{peer}}},
		{Unit: "VI_1", Verdict: splitbrain.Hold{Until: until, Rank: time.Second, Reason: "lb01 claims it"}},
		{Unit: "VI_2", Verdict: splitbrain.Yield{Tenure: 3, Successor: "lb02", Reason: "asked"}},
		{Unit: "VI_1", Verdict: splitbrain.TakeOver{After: 2, Reason: "released"}},
	})
	want := []vrrp.Delivery{
		{Unit: "VI_1", Events: []vrrp.Event{
			vrrp.Members{Addrs: []netip.Addr{peer}},
			vrrp.Hold{Until: until, Rank: time.Second, Reason: "lb01 claims it"},
		}},
		{Unit: "VI_2", Events: []vrrp.Event{vrrp.Yield{Tenure: 3, Successor: "lb02", Reason: "asked"}}},
		{Unit: "VI_1", Events: []vrrp.Event{vrrp.TakeOver{After: 2, Reason: "released"}}},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("deliveries differ (-want +got):\n%s", diff)
	}
}

func TestAUnitIsReleasedOnlyWhenADumpShowedItsAddressesGone(t *testing.T) {
	spec := desired.State{Units: []desired.Unit{{Spec: vrrp.UnitSpec{
		Name: "G", Group: true,
		Instances: []vrrp.InstanceSpec{{Name: "A", DownTimerAdverts: 3}, {Name: "B", DownTimerAdverts: 3}},
	}, SplitBrain: desired.SplitBrain{Policy: "off"}}}}
	unit := vrrp.UnitStatus{Name: "G", State: vrrp.Backup, Instances: []vrrp.InstanceStatus{
		{Name: "A", AdvertInterval: time.Second, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.100/24")}},
		{Name: "B", AdvertInterval: 2 * time.Second, Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}},
	}}
	got := Views([]vrrp.UnitStatus{unit}, spec, nil)[0]
	if !got.Released || !got.Eligible || got.Policy != splitbrain.PolicyOff || got.AdvertInterval != 2*time.Second || len(got.VIPs) != 2 {
		t.Errorf("view = %+v", got)
	}
	unit.Lingering = true
	if Views([]vrrp.UnitStatus{unit}, spec, nil)[0].Released {
		t.Error("a unit with an address that lingers is called released")
	}
	unit.Lingering, unit.State = false, vrrp.Fault
	if Views([]vrrp.UnitStatus{unit}, spec, nil)[0].Eligible {
		t.Error("a unit in FAULT is called eligible")
	}
}

func TestAUnitOfPolicyQuorumAsksForWhatItsKernelCanKeep(t *testing.T) {
	spec := desired.State{Units: []desired.Unit{{
		Spec:       vrrp.UnitSpec{Name: "A", Instances: []vrrp.InstanceSpec{{Name: "A", DownTimerAdverts: 3}}},
		SplitBrain: desired.SplitBrain{Policy: "quorum", Lease: time.Second},
	}}}
	unit := vrrp.UnitStatus{Name: "A", State: vrrp.Backup, Instances: []vrrp.InstanceStatus{{Name: "A", AdvertInterval: time.Second}}}
	unit.Gate.Lease = time.Second
	if v := Views([]vrrp.UnitStatus{unit}, spec, nil)[0]; v.Policy != splitbrain.PolicyQuorum || v.Lease != time.Second {
		t.Errorf("with a gate: policy %v, lease %v", v.Policy, v.Lease)
	}
	unit.Gate = vrrp.GateStatus{Missing: "no BPF"}
	if v := Views([]vrrp.UnitStatus{unit}, spec, nil)[0]; v.Lease != config.LeaseWithoutGate {
		t.Errorf("without: lease %v, want %v", v.Lease, config.LeaseWithoutGate)
	}
	until := kclock.Instant(7)
	got := Deliveries([]splitbrain.UnitVerdict{{Unit: "A", Verdict: splitbrain.Lease{Tenure: 3, Until: until}}})
	if want := (vrrp.Lease{Tenure: 3, Until: until}); len(got) != 1 || got[0].Events[0] != want {
		t.Errorf("delivered %+v, want %+v", got, want)
	}
}
