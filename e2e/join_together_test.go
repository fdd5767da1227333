package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// together runs haclusterctl on several daemons at the same moment.
func together(daemons []*lab.Daemon, args ...string) []lab.Result {
	out := make([]lab.Result, len(daemons))
	var wg sync.WaitGroup
	for i, d := range daemons {
		wg.Go(func() { out[i] = d.Ctl(args...) })
	}
	wg.Wait()
	return out
}

// Machines that one play of a configuration manager sets up join at the same moment.
func TestMachinesThatJoinAtTheSameMomentAllJoin(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	first := lan.Node("lb01").StartMember(lab.Control)
	var others []*lab.Daemon
	for _, name := range []string{"lb02", "lb03", "lb04", "lb05", "lb06", "lb07"} {
		others = append(others, lan.Node(name).StartMember(lab.Control))
	}
	lab.Form(t, trioConf(""), first)
	for _, d := range others {
		d.WantSocket(10 * time.Second)
	}
	token := strings.TrimSpace(first.MustCtl("token", "create", "--uses", "-1", "--quiet"))
	for i, res := range together(others, "join", "--token", token) {
		if res.Exit != 0 || res.Took > 20*time.Second {
			t.Errorf("join of %s: %v\nwant success within 20 s", others[i].Node.Name, res)
		}
	}
	wantVoters(t, first, 7)
}

// A token for one machine lets one in, and tells the others so.
func TestATokenForOneMachineLetsOneOfTwoIn(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	first := lan.Node("lb01").StartMember(lab.Control)
	pair := []*lab.Daemon{lan.Node("lb02").StartMember(lab.Control), lan.Node("lb03").StartMember(lab.Control)}
	lab.Form(t, "", first)
	for _, d := range pair {
		d.WantSocket(10 * time.Second)
	}
	token := strings.TrimSpace(first.MustCtl("token", "create", "--quiet"))
	in := 0
	for i, res := range together(pair, "join", "--token", token) {
		switch {
		case res.Exit == 0:
			in++
		case res.Exit != 1 || !strings.Contains(res.Stderr, "used"):
			t.Errorf("join of %s: %v\nwant exit 1, and that the token is used", pair[i].Node.Name, res)
		}
	}
	if in != 1 {
		t.Errorf("%d machines have joined, want 1", in)
	}
	wantVoters(t, first, 2)

	// Two people on one machine: one of them finds that it is done.
	late := lan.Node("lb04").StartMember(lab.Control)
	late.WantSocket(10 * time.Second)
	token = strings.TrimSpace(first.MustCtl("token", "create", "--quiet"))
	results := together([]*lab.Daemon{late, late}, "join", "--token", token)
	if results[0].Exit != 0 {
		results[0], results[1] = results[1], results[0]
	}
	if results[0].Exit != 0 || results[1].Exit != 1 || !strings.Contains(results[1].Stderr, "already in a cluster") {
		t.Errorf("two joins of one machine: %v\n%v\nwant one, and one that finds the node to be a member", results[0], results[1])
	}
	wantVoters(t, first, 3)
}

// wantVoters waits until so many voters are alive, by status. While Raft elects a
// leader, as a busy machine may have it do, no majority can be told of.
func wantVoters(t *testing.T, d *lab.Daemon, want int) {
	t.Helper()
	lab.Want(t, 5*time.Second, fmt.Sprintf("%s knows %d voters and a majority", d.Name, want), func() (string, bool) {
		var st struct {
			Cluster struct {
				Voters   []string `json:"voters"`
				Majority bool     `json:"majority"`
			} `json:"cluster"`
		}
		d.CtlJSON(&st, "status")
		return fmt.Sprintf("%+v", st.Cluster), len(st.Cluster.Voters) == want && st.Cluster.Majority
	})
}
