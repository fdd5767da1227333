package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// manyVRIDs is every virtual router that one interface can have.
const manyVRIDs = 255

// manyAddr is the address of virtual router i, from 1.
func manyAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 0, byte(i)}) }

// manyConf is all of them: the odd ones are lb01's by priority, the even ones
// lb02's. The words go into each.
func manyConf(words string) string {
	var b strings.Builder
	b.WriteString("global_defs {\n\tvrrp_version 3\n}\n")
	for i := 1; i <= manyVRIDs; i++ {
		first, second := "lb01", "lb02"
		if i%2 == 0 {
			first, second = second, first
		}
		fmt.Fprintf(&b, "vrrp_instance VI_%d {\n\tinterface eth0\n\tvirtual_router_id %d\n\t@%s priority 150\n\t@%s priority 120\n\t@lb03 priority 100\n"+
			"\t%s\n\tvirtual_ipaddress {\n\t\t%v\n\t}\n}\n", i, i, first, second, words, manyAddr(i))
	}
	return b.String()
}

// F28: 255 instances on three nodes; a node dies that holds half of them. All
// are served again, nobody holds one twice, and the death is told once.
func TestF28HalfOf255InstancesMove(t *testing.T) {
	// Not beside other tests: 765 virtual routers start at the same time.
	t.Run("mesh", func(t *testing.T) { halfOfManyMove(t, "") })
	t.Run("quorum", func(t *testing.T) { halfOfManyMove(t, quorumWords) })
}

func halfOfManyMove(t *testing.T, words string) {
	lan := lab.New(t)
	a, b, c := lan.Node("lb01"), lan.Node("lb02"), lan.Node("lb03")
	// The prober asks for a few of them; who has the others the kernel tells.
	asked := []netip.Addr{manyAddr(1), manyAddr(2), manyAddr(129), manyAddr(254), manyAddr(255)}
	watch := lan.Watch(asked...)
	da, db, dc := a.StartMember(lab.Control), b.StartMember(lab.Control), c.StartMember(lab.Control)
	lab.Form(t, manyConf(""), da, db, dc)
	if words != "" {
		adopt(t, manyConf(words), da, db, dc)
	}
	wantHeld(t, 60*time.Second, map[*lab.Node]func(int) bool{
		a: func(i int) bool { return i%2 == 1 },
		b: func(i int) bool { return i%2 == 0 },
		c: func(int) bool { return false },
	})
	lab.During(3 * time.Second)

	feed := db.FollowAlerts()
	lab.During(200 * time.Millisecond)
	killed := time.Now()
	da.KillAll()
	wantHeld(t, masterDown(120)+2*time.Second, map[*lab.Node]func(int) bool{
		b: func(int) bool { return true },
		c: func(int) bool { return false },
	})
	lab.During(2 * time.Second)
	view := watch.Since(killed)
	view.WantNeverTwo(0, asked...)
	view.WantDarkAtMost(masterDown(120)+slack, asked...)

	opened := map[string]int{}
	for _, line := range feed.Lines() {
		for _, code := range []string{"member_silent", "split_brain", "vrrp_channel_lost"} {
			if strings.Contains(line.Text, `"code":"`+code+`"`) && strings.Contains(line.Text, `"node":"lb02"`) {
				opened[code]++
			}
		}
	}
	if opened["member_silent"] != 1 || len(opened) != 1 {
		t.Errorf("lb02 told of the death by %v alerts, want one member_silent and no other", opened)
	}
	lab.Want(t, 15*time.Second, "lb03 knows the death as one fail-over of 128 units, seen by two nodes", func() (string, bool) {
		list := incidentsOf(dc, "failover").Incidents
		if len(list) != 1 {
			return fmt.Sprintf("%d incidents", len(list)), false
		}
		i := list[0]
		return i.Summary, i.Closed != nil && i.Subject == "lb01" && len(i.Units) == (manyVRIDs+1)/2 && len(i.Reporters) == 2
	})
}

// wantHeld waits until each node has exactly the addresses of the virtual
// routers that it shall hold.
func wantHeld(t *testing.T, within time.Duration, holds map[*lab.Node]func(vrid int) bool) {
	t.Helper()
	lab.Want(t, within, "each address has its holder", func() (string, bool) {
		for n, hold := range holds {
			has := make(map[netip.Addr]bool)
			for _, p := range n.Addrs() {
				has[p.Addr()] = true
			}
			for i := 1; i <= manyVRIDs; i++ {
				if has[manyAddr(i)] != hold(i) {
					return fmt.Sprintf("%s has %v: %v", n.Name, manyAddr(i), has[manyAddr(i)]), false
				}
			}
		}
		return "", true
	})
}
