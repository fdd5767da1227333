package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// takeAddr gives a node the service address of another one in place of its own.
func takeAddr(n *lab.Node, addr netip.Addr) {
	n.DeleteAddr(lab.Service, netip.PrefixFrom(n.Addr4(lab.Service), 24))
	n.AddAddr(lab.Service, netip.PrefixFrom(addr, 24))
}

// F30 without a cluster: two equal machines have equal priorities and addresses, so
// neither would yield. The one that came second does not start. The one that was first
// goes on whatever befalls it, and the copy starts once it is alone.
func TestF30StandaloneCopyIsRefused(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	a, other := lan.Node("a"), lan.Node("clone")
	own := a.Addr4(lab.Service)
	takeAddr(other, own)
	w := lan.Watch(vip)
	conf := strings.ReplaceAll(twoNodes(3, 150, 150, vip, ""), "@b", "@clone")
	refusal := fmt.Sprintf("another machine, %v, answers for this machine's own address %v on eth0", a.MAC(lab.Service), own)

	other.CutLink(lab.Service)
	da := a.StartStandalone(conf)
	w.WantHolder(a, vip, electionTime)
	settled := reigning(w, a, 4, 51)

	other.RestoreLink(lab.Service)
	clone := other.StartStandalone(conf)
	if exit := clone.WantExit(5 * time.Second); exit != 1 || !strings.Contains(clone.Log(), refusal) {
		t.Fatalf("the copy ended with status %d and\n%s\nwant 1 and %q", exit, clone.Log(), refusal)
	}
	// The copy's machine goes on answering for the address, which is said. That is
	// nothing to an heir and to a worker that follows a dead one.
	wantAlert(t, da, 15*time.Second, "duplicate_address", other.MAC(lab.Service).String(), own.String())
	da.WantLog("alert=duplicate_address", time.Second)
	da.MustCtl("restart")
	w.WantHolder(a, vip, time.Second)
	da.SignalWorker(syscall.SIGKILL)
	w.WantHolder(a, vip, electionTime)
	wantReigns(t, w.Since(settled), 4, 51, a)
	w.Since(settled).WantNeverTwo(0, vip)

	a.CutLink(lab.Service)
	clone.Restart()
	w.WantHolder(other, vip, electionTime)
}

// The owner of an address starts as in keepalived while another machine holds it.
func TestStandaloneOwnerTakesItsAddressBack(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	a, b := lan.Node("a"), lan.Node("b")
	takeAddr(a, vip)
	// Linux drops what comes from an address of its own, so b would not hear a.
	b.Sysctl("ipv4/conf/all/accept_local", "1")
	w := lan.Watch(vip)
	conf := twoNodes(3, 255, 100, vip, "")

	a.CutLink(lab.Service)
	b.StartStandalone(conf)
	w.WantHolder(b, vip, electionTime)
	a.RestoreLink(lab.Service)
	da := a.StartStandalone(conf)
	w.WantHolder(a, vip, electionTime)
	b.WantNoAddr(vip, leaseEnds)
	da.WantLog("this node's address is a virtual one, and another machine holds it", time.Second)
	if out := da.Ctl("doctor").Stdout; !strings.Contains(out, "owner: a is the owner of "+vip.String()) || !strings.Contains(out, "net.ipv4.conf.eth0.accept_local=1 on the other machines") {
		t.Errorf("doctor does not say what the others need to hear the owner:\n%s", out)
	}
}
