package e2e

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// trio is a cluster of three nodes that share one virtual address; lb01 has the
// highest priority and holds it.
type trio struct {
	lan     *lab.LAN
	a, b, c *lab.Node
	da, db  *lab.Daemon
	dc      *lab.Daemon
	watch   *lab.Watcher
}

// trioConf is their document. The words given go into the instance.
func trioConf(words string) string {
	return fmt.Sprintf(`
vrrp_instance VI_1 {
	interface eth0
	virtual_router_id 51
	@lb01 priority 150
	@lb02 priority 120
	@lb03 priority 100
	advert_int 1
	%s
	virtual_ipaddress {
		%v
	}
}
`, words, vip)
}

func newTrio(t *testing.T, mesh lab.Network, conf string) *trio {
	t.Helper()
	lan := lab.New(t)
	s := &trio{lan: lan, a: lan.Node("lb01"), b: lan.Node("lb02"), c: lan.Node("lb03")}
	s.watch = lan.Watch(vip)
	s.da, s.db, s.dc = s.a.StartMember(mesh), s.b.StartMember(mesh), s.c.StartMember(mesh)
	lab.Form(t, conf, s.da, s.db, s.dc)
	for _, d := range s.daemons() {
		wantPeers(t, d, 2)
	}
	// Last, so that it holds when the story begins. A node that a busy machine
	// has let stand still proves its health for three Master_Down_Intervals.
	s.watch.WantHolder(s.a, vip, electionTime+3*masterDown(150))
	return s
}

// quorumWords are what an instance says to have policy quorum.
const quorumWords = "split_brain {\n\t\tpolicy quorum\n\t}"

// eachPolicy tells a story under each policy. words are what an instance says to
// have it; mesh needs none.
func eachPolicy(t *testing.T, story func(t *testing.T, words string)) {
	for _, policy := range []struct{ name, words string }{{"mesh", ""}, {"quorum", quorumWords}} {
		t.Run(policy.name, func(t *testing.T) {
			t.Parallel()
			story(t, policy.words)
		})
	}
}

// newTrioOf is newTrio under the policy of the words, beside which the instance has
// some lines.
func newTrioOf(t *testing.T, words, lines string) *trio {
	t.Helper()
	s := newTrio(t, lab.Control, trioConf(lines))
	if words != "" {
		adopt(t, trioConf(lines+"\n\t"+words), s.daemons()...)
	}
	return s
}

// adopt makes a document with policy quorum the members' own: they have to vote
// first, so init cannot take it. It moves nothing.
func adopt(t *testing.T, conf string, daemons ...*lab.Daemon) {
	t.Helper()
	for _, d := range daemons {
		d.WantElectorate(len(daemons), 20*time.Second)
	}
	daemons[0].MustCtl("config", "apply", daemons[0].Node.WriteFile("quorum.conf", conf), "--yes")
	lab.During(time.Second) // each unit has its lease
}

// nextRevision is the number that the next revision gets.
func nextRevision(t *testing.T, d *lab.Daemon) string {
	t.Helper()
	n, err := historyOf(d)[0].Number.Int64()
	if err != nil {
		t.Fatal(err)
	}
	return strconv.FormatInt(n+1, 10)
}

func (s *trio) nodes() []*lab.Node     { return []*lab.Node{s.a, s.b, s.c} }
func (s *trio) daemons() []*lab.Daemon { return []*lab.Daemon{s.da, s.db, s.dc} }

// clusterStatus is what the tests read of `haclusterctl status -o json`.
type clusterStatus struct {
	Verdict string `json:"verdict"`
	Reason  string `json:"reason"`
	Nodes   []struct {
		Name     string      `json:"name"`
		Alive    bool        `json:"alive"`
		Revision json.Number `json:"revision"`
		Units    []struct {
			Name  string `json:"name"`
			State string `json:"state"`
		} `json:"units"`
	} `json:"nodes"`
	Vips []struct {
		Address string   `json:"address"`
		Verdict string   `json:"verdict"`
		Holders []string `json:"holders"`
	} `json:"vips"`
}

// wantPeers waits until a node hears so many others.
func wantPeers(t *testing.T, d *lab.Daemon, others int) {
	t.Helper()
	d.WantAlive(others+1, 10*time.Second)
}

// wantAnswer waits until a daemon that was restarted answers.
func wantAnswer(t *testing.T, d *lab.Daemon) {
	t.Helper()
	lab.Want(t, 10*time.Second, d.Name+" answers", func() (string, bool) {
		res := d.Ctl("status", "-o", "json")
		return res.String(), res.Exit == 0
	})
}

// alertsOf are the open and past alerts that a node knows.
func alertsOf(d *lab.Daemon) string {
	return d.MustCtl("alerts", "--all", "-o", "json")
}

// wantAlert waits for an alert of the given kind on a node, with all words in it.
func wantAlert(t *testing.T, d *lab.Daemon, within time.Duration, kind string, words ...string) {
	t.Helper()
	lab.Want(t, within, fmt.Sprintf("%s raises %s with %q", d.Name, kind, words), func() (string, bool) {
		text := alertsOf(d)
		ok := strings.Contains(text, kind)
		for _, w := range words {
			ok = ok && strings.Contains(text, w)
		}
		return text, ok
	})
}

// wantRevision waits until all nodes run a revision.
func wantRevision(t *testing.T, revision string, daemons ...*lab.Daemon) {
	t.Helper()
	for _, d := range daemons {
		lab.Want(t, 10*time.Second, fmt.Sprintf("%s runs revision %s", d.Name, revision), func() (string, bool) {
			var st clusterStatus
			d.CtlJSON(&st, "status")
			for _, n := range st.Nodes {
				if n.Name == d.Node.Name {
					return "revision " + n.Revision.String(), n.Revision.String() == revision
				}
			}
			return "not in its own status", false
		})
	}
}
