package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// F15: Raft has no majority, since its port is blocked everywhere, while the
// network of the address is well. The address stays, and fails over; the
// configuration cannot be changed, and that is said.
func TestF15RaftWithoutAMajority(t *testing.T) { eachPolicy(t, raftWithoutAMajority) }

func raftWithoutAMajority(t *testing.T, words string) {
	s := newTrioOf(t, words, "")
	blocked := time.Now()
	for _, n := range s.nodes() {
		n.Block(lab.API, lab.Both)
	}
	lab.Want(t, 15*time.Second, "lb02 says that the configuration is read-only", func() (string, bool) {
		text := s.db.MustCtl("status")
		return text, strings.Contains(text, "read-only")
	})
	edit := s.b.WriteFile("edit.conf", trioConf("garp_master_delay 3\n\t"+words))
	if r := s.db.Ctl("config", "apply", edit, "--timeout", "5s"); r.Exit == 0 || r.Exit == 4 {
		t.Errorf("an edit without a majority: %v; want it refused", r)
	}
	lab.During(2 * time.Second)
	s.watch.WantHolder(s.a, vip, time.Second)
	view := s.watch.Since(blocked)
	view.WantNeverTwo(0, vip)
	view.WantDarkAtMost(slack, vip)
	wantReigns(t, view, 4, 51, s.a)

	killed := time.Now()
	s.da.KillAll()
	s.watch.WantHolder(s.b, vip, masterDown(120)+time.Second)
	s.watch.Since(blocked).WantNeverTwo(0, vip)
	s.watch.Since(killed).WantDarkAtMost(masterDown(120)+slack, vip)

	for _, n := range s.nodes() {
		n.Unblock(lab.API)
	}
	lab.Want(t, 15*time.Second, "edits go on", func() (string, bool) {
		r := s.db.Ctl("config", "apply", edit, "--timeout", "5s")
		return r.String(), r.Exit == 0 || r.Exit == 4
	})
}

// F23: a revision adds an address while one node hears nothing of it, so the
// lists of addresses in adverts and records differ. There is no second master,
// and the node that was left out takes over no address that it lacks.
func TestF23AddressesDifferWhileARevisionRollsOut(t *testing.T) { eachPolicy(t, revisionRollsOut) }

func revisionRollsOut(t *testing.T, words string) {
	s := newTrioOf(t, words, "")
	next := nextRevision(t, s.da)
	s.c.Block(lab.API, lab.Both) // heartbeats and adverts go on
	rolled := time.Now()
	edit := s.a.WriteFile("edit.conf", strings.Replace(trioConf(words), vip.String(), vip.String()+"\n\t\t"+vip2.String(), 1))
	if r := s.da.Ctl("config", "apply", edit, "--timeout", "10s"); r.Exit != 4 {
		t.Errorf("apply with lb03 out of reach: %v; want exit 4", r)
	}
	wantRevision(t, next, s.da, s.db)
	s.a.WantAddr(vip2, 3*time.Second)
	lab.During(5 * time.Second)
	s.watch.WantHolder(s.a, vip, time.Second)
	view := s.watch.Since(rolled)
	view.WantNeverTwo(0, vip)
	view.WantDarkAtMost(slack, vip)
	wantReigns(t, view, 4, 51, s.a)

	s.c.Unblock(lab.API)
	wantRevision(t, next, s.dc)
	lab.During(2 * time.Second)
	s.watch.Since(rolled).WantNeverTwo(0, vip)
	wantReigns(t, s.watch.Since(rolled), 4, 51, s.a)
}

// F24: all members have one priority. The order is that of their addresses, and
// there are never two holders, not when all start at once either.
func TestF24EqualPriorities(t *testing.T) { eachPolicy(t, equalPriorities) }

func equalPriorities(t *testing.T, words string) {
	lan := lab.New(t)
	nodes := []*lab.Node{lan.Node("lb01"), lan.Node("lb02"), lan.Node("lb03")}
	watch := lan.Watch(vip)
	var daemons []*lab.Daemon
	for _, n := range nodes {
		daemons = append(daemons, n.StartMember(lab.Control))
	}
	equal := strings.NewReplacer("@lb01 priority 150", "priority 100", "@lb02 priority 120", "", "@lb03 priority 100", "")
	lab.Form(t, equal.Replace(trioConf("")), daemons...)
	if words != "" {
		adopt(t, equal.Replace(trioConf(words)), daemons...)
	}
	holder := -1
	lab.Want(t, electionTime+3*masterDown(100), "somebody holds", func() (string, bool) {
		for i, n := range nodes {
			if n.Has(vip) {
				holder = i
			}
		}
		return "", holder >= 0
	})
	watch.WantHolder(nodes[holder], vip, time.Second)
	lab.During(3 * time.Second)
	watch.All().WantNeverTwo(0, vip)

	// Of those who are left the higher address takes over, alone; with policy
	// quorum whoever asks first, when they do not ask at the same time (R6f).
	left := slices.Delete(slices.Clone(nodes), holder, holder+1)
	if words == "" {
		left = left[1:]
	}
	killed := time.Now()
	daemons[holder].KillAll()
	lab.Want(t, masterDown(100)+time.Second, "another one holds", func() (string, bool) {
		i := slices.IndexFunc(left, func(n *lab.Node) bool { return n.Has(vip) })
		return watch.Since(killed).String(), i >= 0
	})
	lab.During(time.Second)
	if seen := watch.Since(time.Now().Add(-500*time.Millisecond)).Series(vip, lab.ByEcho).Nodes(); len(seen) != 1 ||
		!slices.ContainsFunc(left, func(n *lab.Node) bool { return n.Name == seen[0] }) {
		t.Errorf("%v holds, want one of %d that are left", seen, len(left))
	}
	watch.Since(killed).WantNeverTwo(0, vip)
	watch.Since(killed).WantDarkAtMost(masterDown(100)+slack, vip)
}

// F25: a keepalived with our virtual router and our address says it in another
// version, or with another password. Its adverts move nothing, and the alert
// names the difference.
func TestF25MismatchWithAPeerIsNamed(t *testing.T) {
	auth := func(pass string) string {
		return "authentication {\n\t\tauth_type PASS\n\t\tauth_pass " + pass + "\n\t}"
	}
	tests := []struct {
		name         string
		ours, theirs string // lines of the instance
		version      int    // theirs
		want         string
	}{
		{"password", auth("ours"), auth("theirs"), 2, "password"},
		{"no authentication", auth("ours"), "", 2, "authentication"},
		{"version", "", "", 3, "version"},
	}
	for _, tt := range tests {
		story := func(t *testing.T, words string) {
			s := newTrioOf(t, words, tt.ours)
			peer := s.lan.Node("peer")
			came := time.Now()
			peer.StartKeepalived(fmt.Sprintf(`
global_defs {
	vrrp_version %d
}
vrrp_instance VI_1 {
	interface eth0
	virtual_router_id 51
	priority 200
	advert_int 1
	%s
	virtual_ipaddress {
		%v
	}
}
`, tt.version, tt.theirs, vip))
			wantAlert(t, s.db, 15*time.Second, "foreign_master", peer.Addr4(lab.Service).String(), tt.want)
			if reigns := s.watch.Since(came).Reigns(4, 51); len(reigns) == 0 || !s.a.Has(vip) {
				t.Errorf("lb01 let go for an advert that must not count: %v", reigns)
			}
		}
		t.Run(tt.name, func(t *testing.T) { eachPolicy(t, story) })
	}
}
