package gate

import (
	"errors"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// alarms collects what a gate tells of links that were robbed.
func alarms() (told chan string, restored func(string, error)) {
	told = make(chan string, 100)
	return told, func(link string, err error) {
		if err != nil {
			link += ": " + err.Error()
		}
		told <- link
	}
}

func (m *machine) filters(link string, parent uint32) int {
	m.t.Helper()
	list, err := m.route.FilterList(m.link(link), parent)
	must(m.t, err)
	return len(list)
}

// S26: nobody opens the gate for longer than a moment, and an alert follows.
func TestWhatSomebodyRemovesIsPutBack(t *testing.T) {
	m, peer := newMachine(t), newMachine(t)
	cable(m, "eth0", peer, "eth0")
	told, restored := alarms()
	g := m.gate(restored)
	index := m.index("eth0")
	robberies := map[string]func() error{
		"one filter": func() error { return m.route.FilterDel(g.filter(index, egress)) },
		"all filters of our preference": func() error {
			f := g.filter(index, ingress)
			f.Handle = 0
			return m.route.FilterDel(f)
		},
		"clsact": func() error {
			return m.route.QdiscDel(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
				LinkIndex: index, Parent: netlink.HANDLE_CLSACT, Handle: netlink.MakeHandle(0xffff, 0),
			}})
		},
	}
	for name, rob := range robberies {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			must(t, rob())
			select {
			case got := <-told:
				t.Logf("restored after %v", time.Since(begun))
				if got != "eth0" {
					t.Errorf("told %q, want eth0", got)
				}
			case <-time.After(patience):
				t.Fatalf("nobody was told within %v", patience)
			}
			if in, out := m.filters("eth0", netlink.HANDLE_MIN_INGRESS), m.filters("eth0", netlink.HANDLE_MIN_EGRESS); in != 1 || out != 1 {
				t.Errorf("%d filters in and %d out, want one each", in, out)
			}
		})
	}
}

func TestLinksThatComeAndGoAreNoRobbery(t *testing.T) {
	m, peer := newMachine(t), newMachine(t)
	told, restored := alarms()
	g := m.gate(restored)
	cable(m, "eth0", peer, "eth0")
	eventually(t, 10*time.Second, "a new link is guarded", func() bool { return g.Guards(m.index("eth0")) == nil })
	index := m.index("eth0")

	// A port of a bridge is not guarded: what it carries is the bridge's.
	must(t, m.route.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}))
	must(t, m.route.LinkSetMaster(m.link("eth0"), m.link("br0")))
	eventually(t, 10*time.Second, "a port of a bridge is let go", func() bool {
		return g.Guards(index) != nil && m.filters("eth0", netlink.HANDLE_MIN_EGRESS) == 0
	})
	must(t, m.route.LinkSetNoMaster(m.link("eth0")))
	eventually(t, 10*time.Second, "a former port is guarded", func() bool { return g.Guards(index) == nil })
	must(t, m.route.LinkDel(m.link("eth0")))
	eventually(t, 10*time.Second, "a link is forgotten", func() bool { return g.Guards(index) != nil })
	select {
	case got := <-told:
		t.Errorf("told that %s was robbed", got)
	default:
	}
}

// What a port of a VRF carries is its own.
func TestPortsOfAVRFAreGuarded(t *testing.T) {
	m, peer := newMachine(t), newMachine(t)
	cable(m, "eth0", peer, "eth0")
	g := m.gate(nil)
	err := m.route.LinkAdd(&netlink.Vrf{LinkAttrs: netlink.LinkAttrs{Name: "vrf0"}, Table: 100})
	if errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip("the kernel lacks vrf")
	}
	must(t, err)
	must(t, m.route.LinkSetMaster(m.link("eth0"), m.link("vrf0")))
	eventually(t, 10*time.Second, "the VRF is known", func() bool { return g.Guards(m.index("vrf0")) == nil })
	if err := g.Guards(m.index("eth0")); err != nil {
		t.Error(err)
	}
}

// Another user of the hook, with the same preference and another classifier, is
// left alone, and the link is said not to be guarded.
func TestLinkWhoseFiltersAreTakenIsNotGuarded(t *testing.T) {
	m, peer := newMachine(t), newMachine(t)
	cable(m, "eth0", peer, "eth0")
	index := m.index("eth0")
	must(t, m.route.QdiscAdd(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: index, Parent: netlink.HANDLE_CLSACT, Handle: netlink.MakeHandle(0xffff, 0),
	}}))
	must(t, m.route.FilterAdd(&netlink.U32{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: index, Parent: netlink.HANDLE_MIN_EGRESS, Priority: preference, Protocol: unix.ETH_P_ALL},
		ClassId:     1,
	}))
	g := m.idleGate(nil)
	if err := g.Guards(index); err == nil {
		t.Error("Guards = nil although somebody else has our preference")
	} else {
		t.Log(err)
	}
}
