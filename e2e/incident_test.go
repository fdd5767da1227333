package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// incidents is what the tests read of `haclusterctl incident list -o json`.
type incidents struct {
	Incidents []struct {
		ID         string   `json:"id"`
		Kind       string   `json:"kind"`
		Subject    string   `json:"subject"`
		Units      []string `json:"units"`
		Summary    string   `json:"summary"`
		Closed     *string  `json:"closed"`
		Double     float64  `json:"double_held"`
		Dark       float64  `json:"dark"`
		Unanswered float64  `json:"unanswered"`
		Reporters  []string `json:"reporters"`
		Isolated   bool     `json:"isolated"`
	} `json:"incidents"`
}

// incidentsOf are the incidents of a kind that a node knows.
func incidentsOf(d *lab.Daemon, kind string) (out incidents) {
	var all incidents
	d.CtlJSON(&all, "incident", "list")
	for _, i := range all.Incidents {
		if i.Kind == kind {
			out.Incidents = append(out.Incidents, i)
		}
	}
	return out
}

// hook is a webhook's receiver that notes "code state id" of each alert.
func hook(t *testing.T, n *lab.Node) *inbox {
	t.Helper()
	posts := &inbox{}
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var doc struct {
			Alerts []struct{ Code, State, ID string }
		}
		if err := json.NewDecoder(r.Body).Decode(&doc); err != nil {
			t.Errorf("webhook: %v", err)
		}
		for _, a := range doc.Alerts {
			posts.put(a.Code + " " + a.State + " " + a.ID)
		}
	})}
	t.Cleanup(func() { server.Close() })
	l := listen(t, n, 8080)
	go server.Serve(l) // ends when it is closed
	return posts
}

// The holder is killed while protocol 112 is blocked: two nodes see it, all know
// of one incident, and people are told once. It is closed when all is well.
func TestAKilledHolderIsOneIncidentOfAllNodes(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	pager := s.lan.Host("pager")
	posts := hook(t, pager)
	conf := s.a.WriteFile("alerts.conf", trioConf("")+fmt.Sprintf("cluster {\n\talert_webhook http://%v:8080/hook\n}\n", pager.Addr4(lab.Service)))
	s.da.MustCtl("config", "apply", conf, "-m", "tell somebody")
	for _, n := range s.nodes() {
		n.Block(lab.VRRP, lab.Both)
	}
	lab.During(5 * time.Second)
	s.da.KillAll()
	// F1's bar, with what a busy machine adds.
	limit := masterDown(120)*11/10 + 500*time.Millisecond + slack
	s.watch.WantHolder(s.b, vip, limit)

	for _, d := range []*lab.Daemon{s.db, s.dc} {
		lab.Want(t, 15*time.Second, d.Name+" knows one closed fail-over of lb01, seen by lb02 and lb03", func() (string, bool) {
			list := incidentsOf(d, "failover").Incidents
			ok := len(list) == 1 && list[0].Closed != nil && !list[0].Isolated && list[0].Subject == "lb01" &&
				slices.Equal(list[0].Reporters, []string{"lb02", "lb03"})
			return fmt.Sprintf("%+v", list), ok
		})
	}
	found := incidentsOf(s.dc, "failover").Incidents[0]
	if found.Dark <= 0 || found.Dark > limit.Seconds() {
		t.Errorf("dark for %v s, want up to %v", found.Dark, limit)
	}
	// lb03 has asked for the address when lb02 had taken it.
	if found.Unanswered < found.Dark || found.Unanswered > limit.Seconds()+0.5 {
		t.Errorf("not answered for %v s, want a little more than %v", found.Unanswered, found.Dark)
	}
	text := s.dc.MustCtl("incident", "show", found.ID)
	for _, want := range []string{"last sign of lb01 as holder", "BACKUP → MASTER", "lb02 holds", "vrrp_channel_lost", "verified: lb02 answers for it"} {
		if !strings.Contains(text, want) {
			t.Errorf("incident show %s does not say %q:\n%s", found.ID, want, text)
		}
	}
	t.Logf("haclusterctl incident show %s\n%s", found.ID, text)

	replay := s.dc.MustCtl("incident", "show", found.ID, "--replay")
	for _, want := range []string{"lb02  VI_1 BACKUP", "lb03  VI_1 BACKUP", "stay BACKUP until", "today's code decides the same each time"} {
		if !strings.Contains(replay, want) {
			t.Errorf("incident show %s --replay does not say %q:\n%s", found.ID, want, replay)
		}
	}
	t.Logf("haclusterctl incident show %s --replay\n%s", found.ID, replay)

	posts.want(t, 5*time.Second, "failover resolved incident/"+found.ID)
	if told := posts.count("failover open incident/"); told > 1 {
		t.Errorf("people were told %d times that it opened, want once at most", told)
	}
	if told := posts.count("failover resolved incident/"); told != 1 {
		t.Errorf("people were told %d times that it is over, want once", told)
	}
}

// Two halves hold for a while and meet again: one split brain, with the time that
// both held.
func TestASplitBrainIsOneIncidentWithItsDuration(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	s.lan.Part([]*lab.Node{s.a}, []*lab.Node{s.b, s.c}, lab.Service, lab.Control)
	lab.Want(t, 8*time.Second, "lb02 serves its half", func() (string, bool) { return "", s.b.Has(vip) })
	lab.During(3 * time.Second)
	s.lan.Heal()
	s.watch.WantHolder(s.a, vip, 3*time.Second)
	for _, d := range s.daemons() {
		lab.Want(t, 20*time.Second, d.Name+" knows one closed split brain of lb01 and lb02", func() (string, bool) {
			list := incidentsOf(d, "split_brain").Incidents
			return fmt.Sprintf("%+v", list), len(list) == 1 && list[0].Closed != nil && list[0].Subject == "lb01, lb02" && !list[0].Isolated && list[0].Double > 2.5 && len(list[0].Reporters) == 3
		})
	}
	id := incidentsOf(s.dc, "split_brain").Incidents[0].ID
	t.Logf("haclusterctl incident show %s\n%s", id, s.dc.MustCtl("incident", "show", id))
}

// count is how many messages begin with the text.
func (i *inbox) count(prefix string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := 0
	for _, m := range i.messages {
		if strings.HasPrefix(m, prefix) {
			n++
		}
	}
	return n
}

// A worker that dies is a fail-over, not a planned end, although its supervisor
// says goodbye for it; a daemon that is stopped politely is none.
func TestOnlyWhatNobodyPlannedIsAnIncident(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	s.da.MustCtl("handover", "VI_1", "--to", "lb02")
	lab.During(2 * time.Second)
	s.db.Stop(5 * time.Second)
	s.watch.WantHolder(s.a, vip, masterDown(150)+slack)
	lab.During(3 * time.Second)
	if list := incidentsOf(s.da, "failover").Incidents; len(list) > 0 {
		t.Errorf("a hand-over and a polite stop made incidents: %+v", list)
	}

	s.da.SignalWorker(syscall.SIGKILL)
	s.watch.WantHolder(s.c, vip, masterDown(100)+slack)
	lab.Want(t, 10*time.Second, "lb03 knows of the fail-over of lb01", func() (string, bool) {
		list := incidentsOf(s.dc, "failover").Incidents
		return fmt.Sprintf("%+v", list), len(list) == 1 && list[0].Subject == "lb01"
	})
}

// With policy quorum a holder that is cut off falls silent. It tells people of its
// lost majority by itself, and the others know of it after its return.
func TestAnIsolatedHolderOfAQuorumTellsByItself(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	conf := s.a.WriteFile("quorum.conf", trioConf("split_brain {\n\t\tpolicy quorum\n\t}"))
	s.da.MustCtl("config", "apply", conf, "-m", "quorum")
	lab.Want(t, 10*time.Second, "the status shows the lease of lb01", func() (string, bool) {
		out := s.dc.MustCtl("status")
		return out, strings.HasPrefix(out, "SAFE  ") && strings.Contains(out, "may lose 1 more member, 1 more voter") &&
			strings.Contains(out, "LEASE") && strings.Contains(out, "BALLOT") && !strings.Contains(out, "none")
	})
	t.Logf("haclusterctl status\n%s", s.dc.MustCtl("status"))
	cut := time.Now()
	s.lan.Part([]*lab.Node{s.a}, []*lab.Node{s.b, s.c}, lab.Service, lab.Control)
	s.watch.WantHolder(s.b, vip, masterDown(120)+2*time.Second)
	s.watch.Since(cut).WantNeverTwo(0, vip)
	lab.Want(t, 15*time.Second, "lb01 tells of its lost majority by itself", func() (string, bool) {
		list := incidentsOf(s.da, "quorum_lost").Incidents
		alerts := alertsOf(s.da)
		return fmt.Sprintf("%+v\n%s", list, alerts), len(list) == 1 && list[0].Isolated && strings.Contains(alerts, "as only lb01 sees it")
	})
	s.lan.Heal()
	lab.Want(t, 30*time.Second, "lb03 knows of it, and of the fail-over", func() (string, bool) {
		lost, moved := incidentsOf(s.dc, "quorum_lost").Incidents, incidentsOf(s.dc, "failover").Incidents
		ok := len(lost) == 1 && lost[0].Closed != nil && !lost[0].Isolated && slices.Equal(lost[0].Reporters, []string{"lb01"}) &&
			len(moved) == 1 && moved[0].Closed != nil && moved[0].Subject == "lb01"
		return fmt.Sprintf("%+v\n%+v", lost, moved), ok
	})
}
