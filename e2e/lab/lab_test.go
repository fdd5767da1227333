package lab

import (
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

var vip = netip.MustParseAddr("192.0.2.100")

func keepalivedConf(priority int, version int, vip netip.Addr) string {
	return fmt.Sprintf(`
global_defs {
	vrrp_version %d
}
vrrp_instance VI_1 {
	interface eth0
	virtual_router_id 51
	priority %d
	advert_int 1
	virtual_ipaddress {
		%v
	}
}
`, version, priority, vip)
}

func TestWatcherMeasuresFailoverOfKeepalived(t *testing.T) {
	t.Parallel()
	lan := New(t)
	a, b := lan.Node("a"), lan.Node("b")
	w := lan.Watch(vip)
	master := a.StartKeepalived(keepalivedConf(150, 2, vip), "-D")
	b.StartKeepalived(keepalivedConf(100, 2, vip), "-D")
	w.WantHolder(a, vip, 6*time.Second)

	begin := time.Now()
	master.SignalAll(syscall.SIGTERM)
	w.WantHolder(b, vip, 5*time.Second)

	// RFC 3768 section 6.1: Skew_Time of priority 100 is 156/256 s.
	skew := 156 * time.Second / 256
	got, ok := w.All().Takeover(4, 51, a, b)
	if !ok || got.Length() < skew-5*time.Millisecond || w.All().Counted(got) > skew+100*time.Millisecond {
		t.Errorf("take-over after %v (seen: %v), want about %v", got.Length(), ok, skew)
	}
	w.All().WantNeverTwo(0, vip)
	w.Since(begin).WantDarkAtMost(skew+150*time.Millisecond, vip)
	if dark := w.Since(begin).Dark(vip); dark < skew/2 {
		t.Errorf("dark for %v, want about %v: the probes did not notice the change", dark, skew)
	}
	if len(w.Since(begin).Announcements(vip)) == 0 {
		t.Error("no gratuitous ARP seen after the take-over")
	}
}

func TestWatcherSeesTwoHoldersWhenProtocol112IsBlocked(t *testing.T) {
	t.Parallel()
	lan := New(t)
	a, b := lan.Node("a"), lan.Node("b")
	w := lan.Watch(vip)
	a.StartKeepalived(keepalivedConf(150, 2, vip), "-D")
	b.StartKeepalived(keepalivedConf(100, 2, vip), "-D")
	w.WantHolder(a, vip, 6*time.Second)

	begin := time.Now()
	b.Block(VRRP, In)
	b.WantAddr(vip, 5*time.Second)
	Want(t, 2*time.Second, "two holders for 200 ms", func() (string, bool) {
		e := w.Since(begin).E(vip)
		return e.String(), e >= 200*time.Millisecond
	})
	view := w.Since(begin)
	if arp, echo := view.Series(vip, ByNeighbour), view.Series(vip, ByEcho); len(arp.Two) == 0 || len(echo.Two) == 0 {
		t.Errorf("two holders by one kind of probe only:\n%v\n%v", arp, echo)
	}

	b.Unblock(VRRP)
	w.WantHolder(a, vip, 3*time.Second)
}

func TestWatcherSeesIPv6AndLinkCut(t *testing.T) {
	t.Parallel()
	vip6 := netip.MustParseAddr("2001:db8::100")
	lan := New(t)
	a, b := lan.Node("a"), lan.Node("b")
	w := lan.Watch(vip6)
	a.StartKeepalived(keepalivedConf(150, 3, vip6), "-D")
	b.StartKeepalived(keepalivedConf(100, 3, vip6), "-D")
	w.WantHolder(a, vip6, 6*time.Second)

	begin := time.Now()
	a.CutLink(Service)
	w.WantHolder(b, vip6, 6*time.Second)
	if got, ok := w.Since(begin.Add(-2*time.Second)).Takeover(6, 51, a, b); !ok || w.All().Counted(got) > 3700*time.Millisecond {
		t.Errorf("take-over after %v (seen: %v), want at most 3.7 s", got.Length(), ok)
	}
	a.RestoreLink(Service)
	w.WantHolder(a, vip6, 8*time.Second)
}

func TestCutStopsFramesOneWay(t *testing.T) {
	t.Parallel()
	lan := New(t)
	a, b := lan.Node("a"), lan.Node("b")
	w := lan.Watch(vip)
	a.StartKeepalived(keepalivedConf(150, 2, vip), "-D")
	b.StartKeepalived(keepalivedConf(100, 2, vip), "-D")
	w.WantHolder(a, vip, 6*time.Second)

	lan.Cut(a, b, Service)
	b.WantAddr(vip, 6*time.Second)

	lan.Heal()
	b.WantNoAddr(vip, 3*time.Second)
}
