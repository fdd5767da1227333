package e2e

import (
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// leaseEnds is when the kernel has removed an address whose daemon is gone: four
// seconds of lifetime behind its gate, which closed long before, the kernel's own
// delay of up to 1.05 s, and the poll.
const leaseEnds = 5200 * time.Millisecond

// pair starts two haclusterd, a with the higher priority, and waits until a has
// held the address from a settled moment on.
func pair(t *testing.T) (w *lab.Watcher, a, b *lab.Daemon, settled time.Time) {
	t.Helper()
	lan := lab.New(t)
	na, nb := lan.Node("a"), lan.Node("b")
	w = lan.Watch(vip)
	conf := twoNodes(3, 150, 100, vip, "")
	a, b = na.StartStandalone(conf), nb.StartStandalone(conf)
	w.WantHolder(na, vip, electionTime)
	return w, a, b, reigning(w, na, 4, 51)
}

// A killed daemon leaves nothing behind: the kernel gate closes before the backup's
// Master_Down_Timer ends, so nobody ever sees two holders, and the kernel removes
// the address afterwards.
func TestKilledHolderLosesItsAddress(t *testing.T) {
	t.Parallel()
	w, a, b, settled := pair(t)

	killed := time.Now()
	a.KillAll()
	w.WantHolder(b.Node, vip, masterDown(100)+time.Second)
	a.Node.WantNoAddr(vip, leaseEnds-time.Since(killed))

	wantTakeover(t, w.Since(settled), 4, 51, a.Node, b.Node, masterDown(100))
	w.Since(settled).WantNeverTwo(0, vip)
	w.Since(killed).WantDarkAtMost(masterDown(100)+slack, vip)

	a.Restart()
	w.WantHolder(a.Node, vip, electionTime)
	w.Since(settled).WantNeverTwo(meeting, vip)
}

// A stopped daemon is silenced by the kernel too; when it goes on, it does not
// claim what another one holds by now.
func TestStoppedHolderLosesItsAddress(t *testing.T) {
	t.Parallel()
	w, a, b, settled := pair(t)

	stopped := time.Now()
	a.SignalAll(syscall.SIGSTOP)
	w.WantHolder(b.Node, vip, masterDown(100)+time.Second)
	a.Node.WantNoAddr(vip, leaseEnds-time.Since(stopped))
	w.Since(stopped).WantNeverTwo(0, vip)

	// It proves its health for three Master_Down_Intervals before it preempts.
	a.SignalAll(syscall.SIGCONT)
	w.WantHolder(a.Node, vip, 4*masterDown(150)+2*time.Second)
	w.Since(settled).WantNeverTwo(meeting, vip)
	wantReigns(t, w.Since(settled), 4, 51, a.Node, b.Node, a.Node)
}

// A holder without carrier is in FAULT at once.
func TestHolderWithoutCarrierLetsGo(t *testing.T) {
	t.Parallel()
	w, a, b, settled := pair(t)

	a.Node.CutLink(lab.Service)
	a.Node.WantNoAddr(vip, 500*time.Millisecond)
	w.WantHolder(b.Node, vip, masterDown(100)+time.Second)
	wantTakeover(t, w.Since(settled), 4, 51, a.Node, b.Node, masterDown(100))

	a.Node.RestoreLink(lab.Service)
	w.WantHolder(a.Node, vip, electionTime)
	w.Since(settled).WantNeverTwo(meeting, vip)
}

// F22: somebody deletes the VIP on the holder: it is restored within 50 ms,
// and nobody else takes over.
func TestF22DeletedAddressIsRestored(t *testing.T) {
	t.Parallel()
	w, a, b, settled := pair(t)

	for range 5 {
		deleted := time.Now()
		a.Node.DeleteAddr(lab.Service, netip.PrefixFrom(vip, 32))
		a.Node.WantAddr(vip, time.Second)
		lab.During(50 * time.Millisecond) // the next probes are answered
		w.Since(deleted).WantDarkAtMost(50*time.Millisecond, vip)
	}
	lab.During(1200 * time.Millisecond) // one more advert at least
	w.WantHolder(a.Node, vip, time.Second)
	wantReigns(t, w.Since(settled), 4, 51, a.Node)
	if b.Node.Has(vip) {
		t.Error("b took the address")
	}
}

// F26: SIGHUP changes what differs and touches nothing else.
func TestF26ReloadDoesNotFlap(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	a, b := lan.Node("a"), lan.Node("b")
	w := lan.Watch(vip, vip2)
	document := func(priority int, more string) string {
		return fmt.Sprintf(`
vrrp_instance VI_1 {
	interface eth0
	virtual_router_id 51
	@a priority 150
	@b priority 100
	virtual_ipaddress {
		%v
	}
}
vrrp_instance VI_2 {
	interface eth0
	virtual_router_id 52
	@a priority %d
	@b priority 100
	virtual_ipaddress {
		%v
		%s
	}
}
`, vip, priority, vip2, more)
	}
	master := a.StartStandalone(document(150, ""))
	b.StartStandalone(document(150, ""))
	w.WantHolder(a, vip, electionTime)
	w.WantHolder(a, vip2, electionTime)

	begin := time.Now()
	added := netip.MustParseAddr("192.0.2.102")
	master.Reload(document(140, added.String()))
	a.WantAddr(added, 2*time.Second)
	lab.Want(t, 3*time.Second, "adverts carry the new priority", func() (string, bool) {
		all := w.Since(begin).Adverts(4, 52)
		return fmt.Sprint(all), len(all) > 0 && all[len(all)-1].Priority == 140
	})
	master.Reload(document(140, ""))
	a.WantNoAddr(added, 2*time.Second)

	// A document that is wrong is refused and changes nothing.
	master.Reload(document(140, "192.0.2.300"))
	master.WantLog("refused", 2*time.Second)
	lab.During(1500 * time.Millisecond)

	view := w.Since(begin)
	view.WantDarkAtMost(meeting, vip, vip2)
	view.WantNeverTwo(0, vip, vip2)
	wantReigns(t, view, 4, 51, a)
	wantReigns(t, view, 4, 52, a)
	if gap := advertGap(view, 4, 51); gap > time.Second+slack {
		t.Errorf("gap of %v between adverts of an untouched instance", gap)
	}
}
