package e2e

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

var (
	vip  = netip.MustParseAddr("192.0.2.100")
	vip2 = netip.MustParseAddr("192.0.2.101")
	vip6 = netip.MustParseAddr("2001:db8::100")
)

const (
	// electionTime is what two fresh routers need at one advert a second:
	// Master_Down_Interval is at most 4 s, the rest is start-up.
	electionTime = 7 * time.Second

	// meeting is how long an ordinary preemption may show two holders: the
	// old one learns of the new one by its first advert. Microseconds on an idle
	// machine; the suite runs several networks on two cores.
	meeting = 100 * time.Millisecond

	// slack is what a loaded machine may add to a time of the protocol.
	slack = 250 * time.Millisecond
)

// skew is Skew_Time of version 2 (RFC 3768 section 6.1).
func skew(priority int) time.Duration {
	return time.Duration(256-priority) * time.Second / 256
}

// masterDown is Master_Down_Interval at one advert a second.
func masterDown(priority int) time.Duration { return 3*time.Second + skew(priority) }

// router is a daemon that speaks VRRP, of either make.
type router struct {
	name  string
	start func(n *lab.Node, conf string) *lab.Process
}

var (
	hacluster  = router{"haclusterd", func(n *lab.Node, conf string) *lab.Process { return n.StartStandalone(conf).Process }}
	keepalived = router{"keepalived", func(n *lab.Node, conf string) *lab.Process { return n.StartKeepalived(conf, "-D") }}
)

// reigning waits for one more advert of a master and returns the moment before:
// what the watcher sees from there on is no start-up any more.
func reigning(w *lab.Watcher, master *lab.Node, family, vrid int) time.Time {
	begin := time.Now()
	w.WantMaster(master, family, vrid, 3*time.Second)
	return begin
}

// wantReigns fails unless exactly these nodes advertised, one after the other:
// one master at all times. An advert of the old master that crossed the first
// one of the new is no reign of its own: it was due before the other was read.
func wantReigns(t *testing.T, view lab.Window, family, vrid int, want ...*lab.Node) {
	t.Helper()
	var names, wanted []string
	reigns := view.Reigns(family, vrid)
	for i, r := range reigns {
		crossed := i >= 2 && r.Count == 1 && r.Node == reigns[i-2].Node &&
			view.Counted(lab.Stretch{From: reigns[i-1].First.At, To: r.First.At}) <= meeting
		if !crossed {
			names = append(names, r.Node)
		}
	}
	names = slices.Compact(names)
	for _, n := range want {
		wanted = append(wanted, n.Name)
	}
	if !slices.Equal(names, wanted) {
		t.Errorf("masters of IPv%d VRID %d were %v, want %v", family, vrid, names, wanted)
	}
}

// wantTakeover checks the time from the last advert of one node to the first
// of the next against the limit of the protocol.
func wantTakeover(t *testing.T, view lab.Window, family, vrid int, from, to *lab.Node, limit time.Duration) {
	t.Helper()
	got, ok := view.Takeover(family, vrid, from, to)
	switch {
	case !ok:
		t.Errorf("no take-over from %s to %s seen: %v", from.Name, to.Name, view.Reigns(family, vrid))
	case got.Length() < limit-10*time.Millisecond || view.Counted(got) > limit+slack:
		t.Errorf("take-over from %s to %s after %v, want %v; counted %v", from.Name, to.Name, got.Length(), limit, view.Counted(got))
	}
}

// twoNodes is a document for both nodes of a pair: a with the higher priority.
// Lines of its own follow for the instance.
func twoNodes(version, priorityA, priorityB int, addr netip.Addr, lines string) string {
	return fmt.Sprintf(`
global_defs {
	vrrp_version %d
}
vrrp_instance VI_1 {
	interface eth0
	virtual_router_id 51
	@a priority %d
	@b priority %d
	advert_int 1
	%s
	virtual_ipaddress {
		%v
	}
}
`, version, priorityA, priorityB, lines, addr)
}

func family(addr netip.Addr) int {
	if addr.Is6() {
		return 6
	}
	return 4
}
