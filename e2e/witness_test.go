package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// witnessConf is one document for two nodes and a witness. It says nothing of
// which interface the witness would use, and gives it the best priority.
var witnessConf = strings.NewReplacer(
	"interface eth0", "@lb01 interface eth0\n\t@lb02 interface eth0",
	"@lb03 priority 100", "@w priority 200",
).Replace(trioConf(""))

// joinAs lets a daemon join a cluster with a fresh token.
func joinAs(member, d *lab.Daemon, flags ...string) string {
	d.WantSocket(10 * time.Second)
	token := strings.TrimSpace(member.MustCtl("token", "create", "--quiet"))
	return d.MustCtl(append([]string{"join", "--token", token}, flags...)...)
}

// Two nodes and a witness outlive the loss of either node: the address is served
// and the configuration can be changed. The witness holds nothing, and serves a
// second cluster beside.
func TestAWitnessVotesAndHoldsNothing(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	a, b, w, x := lan.Node("lb01"), lan.Node("lb02"), lan.Node("w"), lan.Node("other")
	watch := lan.Watch(vip)
	da, db, dw := a.StartMember(lab.Control), b.StartMember(lab.Control), w.StartMember(lab.Control)
	lab.Form(t, witnessConf, da)
	if out := joinAs(da, db); !strings.Contains(out, "haclusterctl join --witness") {
		t.Errorf("joining as the second voter does not say what a witness is good for:\n%s", out)
	}
	if out := joinAs(da, dw, "--witness"); !strings.Contains(out, "is a witness of cluster") {
		t.Errorf("join --witness:\n%s", out)
	}
	wantPeers(t, dw, 2)
	wantPeers(t, da, 2)
	watch.WantHolder(a, vip, electionTime+3*masterDown(150))
	wantRevision(t, "1", da, db, dw)
	for _, d := range []*lab.Daemon{da, dw} {
		if out := d.MustCtl("nodes"); !strings.Contains(out, "witness") || !strings.Contains(out, "votes, holds nothing") {
			t.Errorf("nodes, seen from %s:\n%s", d.Node.Name, out)
		}
		if out := d.MustCtl("status"); !strings.Contains(out, "may lose 1 more member, 1 more voter") {
			t.Errorf("status, seen from %s:\n%s", d.Node.Name, out)
		}
	}

	// A second cluster has its witness on the same machine.
	dx, dw2 := x.StartMember(lab.Control), w.StartMember(lab.Control, "--listen=[::]:7122")
	lab.Form(t, "", dx)
	joinAs(dx, dw2, "--witness")
	wantPeers(t, dx, 1)
	wantPeers(t, dw2, 1)

	// The loss of a node moves the address, and edits go on.
	died := time.Now()
	da.KillAll()
	watch.WantHolder(b, vip, electionTime)
	watch.Since(died).WantNeverTwo(0, vip)
	dw.MustCtl("config", "set", "vrrp_instance VI_1", "garp_master_delay", "2")
	wantRevision(t, "2", db, dw)
	if w.Has(vip) {
		t.Error("the witness has the virtual address")
	}

	// With policy quorum its vote is needed: it cannot leave.
	da.Restart()
	wantPeers(t, dw, 2)
	dw.MustCtl("config", "set", "vrrp_instance VI_1 split_brain", "policy", "quorum")
	if r := dw.Ctl("leave"); r.Exit != 1 || !strings.Contains(r.Stderr, "policy quorum of VI_1 needs 3 voters") {
		t.Errorf("leave of a witness that policy quorum needs: %v, want exit 1 and why", r)
	}
	dw.MustCtl("config", "rollback", "2")
	dw.MustCtl("leave")
	wantPeers(t, da, 1)
}
