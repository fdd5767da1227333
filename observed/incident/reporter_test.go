package incident

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/splitbrain"
)

// newsroom are nodes that share what is replicated, and each its own hub.
type newsroom struct {
	machine *Machine
	leader  map[string]string // as each node knows it; empty: none, and nothing is committed
	nodes   map[string]*Reporter
}

func newNewsroom(t *testing.T, names ...string) *newsroom {
	r := &newsroom{machine: NewMachine(), leader: make(map[string]string), nodes: make(map[string]*Reporter)}
	log := slog.New(slog.DiscardHandler)
	for n, name := range names {
		r.leader[name] = names[0]
		r.nodes[name] = NewReporter(ReporterOptions{
			Node: name, Boot: uint64(n + 1), Log: log, View: observed.NewView(log, observed.Node{Name: name}, false), Machine: r.machine,
			Traces: NewTraces(log, t.TempDir()), Leader: func() string { return r.leader[name] },
			Apply: func(_ context.Context, _ string, cmd store.Command) ([]byte, error) {
				if r.leader[name] == "" {
					return nil, errors.New("no majority")
				}
				return r.machine.Apply(cmd)
			},
		})
	}
	return r
}

// pass lets some seconds pass on all nodes, which see what is given.
func (r *newsroom) pass(ctx context.Context, seconds int, alerts ...splitbrain.Alert) {
	for range seconds {
		for _, i := range r.nodes {
			i.tracker.Step(&Input{Now: time.Now(), Peers: splitbrain.PeerView{Alerts: alerts}, Cluster: observed.Cluster{Majority: true}})
			i.round(ctx)
		}
		time.Sleep(time.Second)
	}
}

// told are the changes of alerts of all nodes: "node code state".
func (r *newsroom) told() map[string]int {
	out := make(map[string]int)
	for name, i := range r.nodes {
		list, _ := i.View.Hub.Alerts(0)
		for _, a := range list {
			state := "open"
			if !a.Resolved.IsZero() {
				state = "resolved"
			}
			out[fmt.Sprintf("%s %s %s", name, a.Code, state)]++
		}
	}
	return out
}

func TestPeopleAreToldOnceByTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newNewsroom(t, "lb1", "lb2", "lb3")
		lost := splitbrain.Alert{Kind: splitbrain.QuorumLost, Since: time.Now(), Summary: "one of three voters answers"}
		r.pass(t.Context(), 10, lost)
		if got := fmt.Sprint(r.told()); got != "map[lb1 quorum_lost open:1]" {
			t.Errorf("told = %s, want by lb1 once", got)
		}
		// A new leader tells nothing again, but the end.
		for name := range r.leader {
			r.leader[name] = "lb2"
		}
		r.pass(t.Context(), 5, lost)
		if got := fmt.Sprint(r.told()); got != "map[lb1 quorum_lost open:1]" {
			t.Errorf("told = %s after a change of leader, want nothing more", got)
		}
		r.pass(t.Context(), 20)
		if got := r.told(); got["lb1 quorum_lost open"] != 1 || got["lb2 quorum_lost resolved"] != 1 || got["lb3 quorum_lost open"] != 0 {
			t.Errorf("told = %v, want the end by lb2", got)
		}
		for name, i := range r.nodes {
			if s, _ := i.View.Hub.Latest(); len(s.Alerts) > 0 {
				t.Errorf("%s still shows %+v", name, s.Alerts)
			}
		}
		records, _ := r.machine.Records()
		if len(records) != 1 || len(records[0].Parts) != 3 || !records[0].ToldClosed {
			t.Errorf("records = %+v, want one of three nodes that was told to its end", records)
		}
	})
}

func TestAnIsolatedNodeTellsByItselfAndReportsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newNewsroom(t, "lb1", "lb2", "lb3")
		r.leader["lb3"] = ""
		only := r.nodes["lb3"]
		lost := splitbrain.Alert{Kind: splitbrain.QuorumLost, Since: time.Now(), Summary: "no voter answers"}
		alone := &newsroom{machine: r.machine, leader: r.leader, nodes: map[string]*Reporter{"lb3": only}}
		alone.pass(t.Context(), 15, lost)
		snapshot, _ := only.View.Hub.Latest()
		if len(snapshot.Alerts) != 1 || !strings.Contains(snapshot.Alerts[0].Summary, "as only lb3 sees it") {
			t.Fatalf("alerts = %+v, want one that says whose view it is", snapshot.Alerts)
		}
		if stories := only.Stories(); len(stories) != 1 || stories[0].Number != 0 || stories[0].ID() == "" {
			t.Errorf("stories = %+v, want one without a number", stories)
		}
		r.leader["lb3"] = "lb1"
		r.pass(t.Context(), 20)
		if records, _ := r.machine.Records(); len(records) != 1 {
			t.Fatalf("%d records after the return, want one", len(records))
		}
		got := r.told()
		if got["lb1 quorum_lost open"] != 0 || got["lb3 quorum_lost open"] != 1 || got["lb3 quorum_lost resolved"] != 1 {
			t.Errorf("told = %v, want begin and end by lb3 alone", got)
		}
	})
}

func TestWhatWasToldOnBothSidesOfACutEndsOnBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newNewsroom(t, "lb1", "lb2", "lb3")
		r.leader["lb3"] = ""
		lost := splitbrain.Alert{Kind: splitbrain.QuorumLost, Since: time.Now(), Summary: "a voter does not answer"}
		r.pass(t.Context(), 15, lost)
		r.leader["lb3"] = "lb1"
		r.pass(t.Context(), 20)
		want := "map[lb1 quorum_lost open:1 lb1 quorum_lost resolved:1 lb3 quorum_lost open:1 lb3 quorum_lost resolved:1]"
		if got := fmt.Sprint(r.told()); got != want {
			t.Errorf("told = %s, want %s", got, want)
		}
		if records, _ := r.machine.Records(); len(records) != 1 || !records[0].ToldClosed {
			t.Errorf("records = %+v, want one that was told to its end", records)
		}
	})
}

func TestPeopleAreRemindedOfWhatStaysOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newNewsroom(t, "lb1")
		lost := splitbrain.Alert{Kind: splitbrain.QuorumLost, Since: time.Now(), Summary: "one of three voters answers"}
		for range 5 {
			r.pass(t.Context(), 5, lost)
			time.Sleep(time.Hour)
		}
		if got := r.told()["lb1 quorum_lost open"]; got != 3 {
			t.Errorf("told %d times in 5 h, want at once, after 1 h and after 4 h", got)
		}
	})
}
