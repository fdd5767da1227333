package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// frrVariant is what haclusterd and FRR both speak: FRR knows neither
// authentication nor unicast.
type frrVariant struct {
	name    string
	version int
	addr    netip.Addr

	// late is by how much FRR's first advert follows its take-over. Over IPv6
	// vrrpd cannot send before its macvlan has an address to send from, and
	// leaves the first advert out.
	late time.Duration
}

var frrVariants = []frrVariant{
	{"v2", 2, vip, 0},
	{"v3 over IPv4", 3, vip, 0},
	{"v3 over IPv6", 3, vip6, time.Second},
}

// leaver is a daemon of either make that can be told to go.
type leaver interface {
	Stop(within time.Duration) int
}

func (v frrVariant) hacluster(n *lab.Node, priority int) *lab.Daemon {
	return n.StartStandalone(twoNodes(v.version, priority, priority, v.addr, ""))
}

func (v frrVariant) frr(n *lab.Node, priority int) *lab.FRR {
	return n.StartFRR(lab.FRRRouter{Version: v.version, VRID: 51, Priority: priority, VIP: v.addr})
}

// frrSkew is Skew_Time as FRR reckons it: whole centiseconds.
func frrSkew(priority int) time.Duration { return skew(priority).Truncate(10 * time.Millisecond) }

// TestInteropWithFRR: one virtual router shared by haclusterd and FRR's vrrpd,
// which sends from the virtual MAC; each in both roles. The master leaves and
// comes back. There is one master at all times, and each change takes what the
// protocol says.
func TestInteropWithFRR(t *testing.T) {
	for _, v := range frrVariants {
		t.Run(v.name+", haclusterd as master", func(t *testing.T) {
			t.Parallel()
			start := func(n *lab.Node) leaver { return v.hacluster(n, 150) }
			v.handOver(t, start, func(n *lab.Node) leaver { return v.frr(n, 100) }, frrSkew(100)+v.late, 0)
		})
		t.Run(v.name+", FRR as master", func(t *testing.T) {
			t.Parallel()
			start := func(n *lab.Node) leaver { return v.frr(n, 150) }
			v.handOver(t, start, func(n *lab.Node) leaver { return v.hacluster(n, 100) }, skew(100), v.late)
		})
	}
}

// handOver tells the story of a master that leaves and comes back. The backup
// takes over within the skew given; the master's return may show two holders
// for as long as its first advert is late.
func (v frrVariant) handOver(t *testing.T, startMaster, startBackup func(*lab.Node) leaver, skew, late time.Duration) {
	lan := lab.New(t)
	a, b := lan.Node("a"), lan.Node("b")
	w := lan.Watch(v.addr)
	fam := family(v.addr)

	backup := startBackup(b)
	master := startMaster(a)
	w.WantMaster(a, fam, 51, electionTime)
	w.WantHolder(a, v.addr, 2*time.Second)
	settled := reigning(w, a, fam, 51)

	if exit := master.Stop(5 * time.Second); exit != 0 {
		t.Errorf("the master ended with status %d after SIGTERM, want 0", exit)
	}
	w.WantHolder(b, v.addr, 3*time.Second)
	w.WantMaster(b, fam, 51, 3*time.Second)
	wantTakeover(t, w.Since(settled), fam, 51, a, b, skew)

	back := time.Now()
	master = startMaster(a)
	w.WantMaster(a, fam, 51, electionTime)
	w.WantHolder(a, v.addr, 2*time.Second)

	wantReigns(t, w.Since(settled), fam, 51, a, b, a)
	w.All().WantNeverTwo(meeting+late, v.addr)
	wantEchoes(t, w.Since(back), v.addr)

	// FRR accepts only checksums with the pseudo header, and sends them: the
	// dialect that haclusterd speaks when it has heard nobody.
	for _, d := range []leaver{master, backup} {
		if d, ok := d.(*lab.Daemon); ok && strings.Contains(d.Log(), "checksum dialect") {
			t.Errorf("haclusterd has changed its checksum dialect for FRR")
		}
	}
}

// wantEchoes fails unless echo requests were answered all the time. What is
// sent to everybody reaches a macvlan by way of a kernel worker, which waits for
// a processor on a busy machine: FRR's answers to ARP and neighbour
// solicitations have pauses of their own.
func wantEchoes(t *testing.T, view lab.Window, addr netip.Addr) {
	t.Helper()
	series := view.Series(addr, lab.ByEcho)
	for _, s := range series.Dark {
		if counted := view.Counted(s); counted > meeting {
			t.Errorf("%v was dark for %v from %s on, want at most %v\n  %v", addr, counted, s.From.Format("05.000"), meeting, series)
		}
	}
}

// TestFRRKilled: haclusterd takes over when FRR falls silent, in
// Master_Down_Interval.
func TestFRRKilled(t *testing.T) {
	for _, v := range frrVariants {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			lan := lab.New(t)
			a, b := lan.Node("a"), lan.Node("b")
			w := lan.Watch(v.addr)
			fam := family(v.addr)
			v.hacluster(b, 100)
			peer := v.frr(a, 150)
			w.WantMaster(a, fam, 51, electionTime)
			w.WantHolder(a, v.addr, 2*time.Second)
			settled := reigning(w, a, fam, 51)

			// What is killed takes nothing back: the macvlan keeps the address
			// until somebody removes it. Here the machine goes with its daemons.
			a.CutLink(lab.Service)
			peer.Kill()
			w.WantHolder(b, v.addr, electionTime)
			w.WantMaster(b, fam, 51, 2*time.Second)
			wantTakeover(t, w.Since(settled), fam, 51, a, b, masterDown(100))
			wantReigns(t, w.Since(settled), fam, 51, a, b)
			w.All().WantNeverTwo(meeting+v.late, v.addr)
		})
	}
}

// TestTieBreakWithFRR: with equal priorities two masters that meet again leave
// the one with the higher address (RFC 5798 section 6.4.3).
func TestTieBreakWithFRR(t *testing.T) {
	v := frrVariant{version: 3, addr: vip}
	for _, haclusterHigher := range []bool{true, false} {
		t.Run(fmt.Sprintf("haclusterd has the higher address: %v", haclusterHigher), func(t *testing.T) {
			t.Parallel()
			lan := lab.New(t)
			a, b := lan.Node("a"), lan.Node("b")
			w := lan.Watch(v.addr)
			a.Block(lab.VRRP, lab.In)
			b.Block(lab.VRRP, lab.In)
			ours, theirs := a, b
			if haclusterHigher {
				ours, theirs = b, a
			}
			begin := time.Now()
			v.hacluster(ours, 100)
			v.frr(theirs, 100)
			for _, n := range []*lab.Node{a, b} {
				lab.Want(t, electionTime, n.Name+" advertises", func() (string, bool) {
					reigns := w.Since(begin).Reigns(4, 51)
					for _, r := range reigns {
						if r.Node == n.Name {
							return "", true
						}
					}
					return fmt.Sprint(reigns), false
				})
			}

			a.Unblock(lab.VRRP)
			b.Unblock(lab.VRRP)
			w.WantHolder(b, v.addr, 3*time.Second)

			w.WantMaster(b, 4, 51, 2*time.Second)
			settled := time.Now()
			lab.During(1500 * time.Millisecond)
			wantReigns(t, w.Since(settled), 4, 51, b)
		})
	}
}
