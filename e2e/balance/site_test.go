//go:build guest

package balance_test

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/e2e/lab"
)

// Virtual addresses of the service network.
var (
	vip  = netip.MustParseAddr("192.0.2.100")
	vip6 = netip.MustParseAddr("2001:db8::100")
)

// site is a client, two directors of which the first is preferred, and two real
// servers. A node's number is the last byte of its addresses:
// 1 and 2 are the directors, 3 and 4 the real servers, 5 is the client.
type site struct {
	t              *testing.T
	lan            *lab.LAN
	d1, d2, r1, r2 *lab.Node
	client         *lab.Node

	now   string // the step of the story, for messages
	begun time.Time
}

func newSite(t *testing.T) *site {
	t.Helper()
	lan := lab.New(t)
	s := &site{t: t, lan: lan, begun: time.Now()}
	s.d1, s.d2, s.r1, s.r2, s.client = lan.Node("d1"), lan.Node("d2"), lan.Node("r1"), lan.Node("r2"), lan.Host("client")
	return s
}

// step says what the story has come to.
func (s *site) step(now string) {
	s.t.Helper()
	s.now = now
	s.t.Logf("%6.2fs %s", time.Since(s.begun).Seconds(), now)
}

func (s *site) directors() []*lab.Node { return []*lab.Node{s.d1, s.d2} }

func (s *site) reals() []*lab.Node { return []*lab.Node{s.r1, s.r2} }

// direct makes the real servers take packets to the virtual addresses that arrive
// with their own MAC, and never answer ARP for them.
func (s *site) direct(vips ...netip.Addr) {
	s.t.Helper()
	for _, r := range s.reals() {
		for _, of := range []string{"all", "default", "eth0", "eth1"} {
			r.Sysctl("ipv4/conf/"+of+"/arp_ignore", "1")
			r.Sysctl("ipv4/conf/"+of+"/arp_announce", "2")
		}
		for _, a := range vips {
			s.own(r, "lo", a)
		}
	}
}

// own gives an interface of a node an address for itself.
func (s *site) own(n *lab.Node, link string, a netip.Addr) {
	s.t.Helper()
	err := n.Do(func() error {
		l, err := netlink.LinkByName(link)
		if err != nil {
			return err
		}
		return netlink.AddrReplace(l, &netlink.Addr{
			IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}, Flags: unix.IFA_F_NODAD,
		})
	})
	if err != nil {
		s.t.Fatalf("%s: add %v to %s: %v", n.Name, a, link, err)
	}
}

// must runs a program on a node and returns what it prints.
func must(t *testing.T, n *lab.Node, argv ...string) string {
	t.Helper()
	r := n.Run(argv...)
	if r.Exit != 0 {
		t.Fatalf("%s: %s: %v", n.Name, strings.Join(argv, " "), r)
	}
	return r.Stdout
}

// powerOff is a machine that loses its power: it is silent at once, and what its
// kernel still has counts no more. The network on which it could tell of the other's
// loss goes first.
func (d *director) powerOff() {
	d.CutLink(lab.Control)
	d.CutLink(lab.Service)
	d.KillAll()
}

// listen opens a port of a node, in both families.
func listen(t *testing.T, n *lab.Node, port string) net.Listener {
	t.Helper()
	var l net.Listener
	err := n.Do(func() (err error) {
		l, err = net.Listen("tcp", ":"+port)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", n.Name, err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v", n.Name, err)
		}
	})
	return l
}
