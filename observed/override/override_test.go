package override

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hacluster/hacluster/cluster/store"
)

var at = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func given(service, server string, weight uint32) Override {
	return Override{
		Which: Which{service, netip.MustParseAddrPort(server)}, Weight: weight, By: "root", Reason: "kernel update", At: at,
	}
}

func apply(t *testing.T, m *Machine, make func() (store.Command, error)) error {
	t.Helper()
	cmd, err := make()
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Apply(cmd)
	return err
}

func give(list ...Override) func() (store.Command, error) {
	return func() (store.Command, error) { return Give(list...) }
}

func end(list ...Which) func() (store.Command, error) {
	return func() (store.Command, error) { return End(list...) }
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantState(t *testing.T, m *Machine, number uint64, want ...Override) {
	t.Helper()
	if diff := cmp.Diff(State{number, want}, m.State(), cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

func wantRefused(t *testing.T, err error, code store.Code) {
	t.Helper()
	if r, ok := errors.AsType[*store.Refusal](err); !ok || r.Code != code {
		t.Errorf("got %v, want refused as %s", err, code)
	}
}

func TestWeightsStandUntilTheyEnd(t *testing.T) {
	m := NewMachine()
	changed := m.Changed()
	must(t, apply(t, m, give(given("web", "10.0.0.2:80", 0), given("web", "10.0.0.1:80", 5))))
	select {
	case <-changed:
	default:
		t.Error("the change is not told")
	}
	must(t, apply(t, m, give(given("mail", "10.0.0.1:25", 7), given("web", "10.0.0.1:80", 6))))
	wantState(t, m, 2, given("mail", "10.0.0.1:25", 7), given("web", "10.0.0.1:80", 6), given("web", "10.0.0.2:80", 0))
	must(t, apply(t, m, end(given("web", "10.0.0.1:80", 0).Which, given("web", "10.0.0.9:80", 0).Which)))
	wantState(t, m, 3, given("mail", "10.0.0.1:25", 7), given("web", "10.0.0.2:80", 0))

	data, err := m.Snapshot()
	must(t, err)
	again := NewMachine()
	must(t, again.Restore(data))
	wantState(t, again, 3, m.State().Overrides...)
}

func TestRefusalsLeaveTheStateAsItWas(t *testing.T) {
	m := NewMachine()
	wantRefused(t, apply(t, m, give(given("web", "10.0.0.1:80", 5), given("web", "10.0.0.2:80", MaxWeight+1))), CodeRange)
	wantRefused(t, apply(t, m, give(given("", "10.0.0.1:80", 5))), CodeRange)
	wantRefused(t, apply(t, m, end(given("web", "10.0.0.1:80", 0).Which)), CodeNone)
	many := make([]Override, Most+1)
	for i := range many {
		many[i] = given("web", "10.0.0.1:80", 1)
		many[i].Server = netip.AddrPortFrom(many[i].Server.Addr(), uint16(i))
	}
	wantRefused(t, apply(t, m, give(many...)), CodeRange)
	_, err := m.Apply(store.Command{Machine: "override", Name: "give", Version: 1, Body: []byte(`[{"Colour":"red"}]`)})
	wantRefused(t, err, "bad-body")
	wantState(t, m, 0)
	must(t, apply(t, m, give(many[:Most]...)))
	must(t, apply(t, m, give(many[0]))) // takes the place of one
}

// follow runs a follower in the bubble, and returns what it brought last; nil: nothing
// yet.
func follow(t *testing.T, dir, cluster string, m *Machine) *[]Override {
	t.Helper()
	var last []Override
	ctx, cancel := context.WithCancel(t.Context())
	f := &Follower{Log: slog.New(slog.DiscardHandler), DataDir: dir, Cluster: cluster, Machine: m, Bring: func(list []Override) {
		last = append([]Override{}, list...)
	}}
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	synctest.Wait()
	return &last
}

// A node that starts knows what was drained before its cluster's log is replayed.
func TestWhatWasKnownCountsUntilTheMachineHasCaughtUp(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		m := NewMachine()
		brought := follow(t, dir, "c1", m)
		if *brought == nil || len(*brought) > 0 {
			t.Errorf("brought %v, want that nothing stands", *brought)
		}
		must(t, apply(t, m, give(given("web", "10.0.0.1:80", 0))))
		must(t, apply(t, m, give(given("web", "10.0.0.2:80", 0))))
		synctest.Wait()
		if len(*brought) != 2 {
			t.Errorf("brought %v, want two", *brought)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		kept, err := Read(dir)
		must(t, err)
		if len(kept.Overrides) != 2 || kept.Cluster != "c1" {
			t.Errorf("kept %+v, want two of c1", kept)
		}
		m := NewMachine()
		brought := follow(t, dir, "c1", m)
		must(t, apply(t, m, give(given("web", "10.0.0.1:80", 0)))) // the log is replayed
		synctest.Wait()
		if len(*brought) != 2 || len(m.State().Overrides) != 2 {
			t.Errorf("brought %v, and %v stand, before the machine has caught up; want what was known", *brought, m.State())
		}
		if data, err := m.Snapshot(); err != nil || strings.Contains(string(data), "10.0.0.2") {
			t.Errorf("the snapshot holds what is assumed: %s, %v", data, err)
		}
		must(t, apply(t, m, give(given("web", "10.0.0.2:80", 0))))
		synctest.Wait()
		if len(*brought) != 2 {
			t.Errorf("brought %v, want two", *brought)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		if brought := follow(t, dir, "c2", NewMachine()); *brought == nil || len(*brought) > 0 {
			t.Errorf("brought %v into another cluster", *brought)
		}
	})
}

func TestANodeAloneKeepsWeightsOverARestart(t *testing.T) {
	dir := t.TempDir()
	var brought []Override
	bring := func(list []Override) { brought = list }
	a, err := NewAlone(dir, bring)
	must(t, err)
	cmd, err := Give(given("web", "10.0.0.1:80", 0))
	must(t, err)
	if _, err := a.Apply(t.Context(), "drain", cmd); err != nil || len(brought) != 1 {
		t.Fatalf("Apply = %v, brought %v", err, brought)
	}
	brought = nil
	if a, err = NewAlone(dir, bring); err != nil || len(brought) != 1 || len(a.State().Overrides) != 1 {
		t.Errorf("after a restart %v, %v, %v", brought, a.State(), err)
	}
	if _, err := a.Apply(t.Context(), "disarm the cluster", store.Command{Machine: "disarm"}); err == nil {
		t.Error("a command of a cluster is carried out alone")
	}
	must(t, os.WriteFile(filepath.Join(dir, keptName), []byte("{"), 0o600))
	if a, err = NewAlone(dir, bring); err == nil || a == nil {
		t.Errorf("a broken file: %v, %v; want it told, and a node that works", a, err)
	}
}
