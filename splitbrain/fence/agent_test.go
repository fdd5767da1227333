package fence

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// testAgent is testdata/fence_test in a directory that only root may write to, as
// agents have to be.
func testAgent(t *testing.T, options ...Option) *Agent {
	t.Helper()
	text, err := os.ReadFile("testdata/fence_test")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "fence_test")
	if err := os.WriteFile(path, text, 0o755); err != nil {
		t.Fatal(err)
	}
	return &Agent{
		Node: "lb02", Program: path, Action: Reboot, Timeout: 5 * time.Second,
		Options: append([]Option{{Name: "passwd", Value: "s3cret", Secret: true}}, options...),
	}
}

func TestAnAgentReadsItsOptionsAndAnswersByItsStatus(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	a := testAgent(t, Option{Name: "log", Value: log}, Option{Name: "ip", Value: "10.0.0.2"}, Option{Name: "action", Value: "status"})
	if err := a.Fence(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(log)
	if err != nil || string(text) != "action=reboot\nip=10.0.0.2\n" {
		t.Errorf("the agent read %q (%v)", text, err)
	}
	if in := string(a.input(Off)); in != "action=off\nnodename=lb02\npasswd=s3cret\nlog="+log+"\nip=10.0.0.2\n" {
		t.Errorf("input %q", in)
	}
}

func TestAFailureSaysWhyWithoutSecrets(t *testing.T) {
	a := testAgent(t, Option{Name: "exit_off", Value: "1"}, Option{Name: "exit_monitor", Value: "3"})
	a.Action = Off
	err := a.Fence(t.Context())
	if err == nil || !strings.HasSuffix(err.Error(), "fence_test action=off: exit status 1: login with *** refused") {
		t.Errorf("Fence = %v", err)
	}
	if err := a.Check(t.Context()); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("Check = %v", err)
	}
}

func TestPowerIsReadFromTheStatus(t *testing.T) {
	for _, tt := range []struct {
		status string
		want   Power
		fails  bool
	}{{"0", On, false}, {"2", PoweredOff, false}, {"1", Unknown, true}} {
		got, err := testAgent(t, Option{Name: "exit_status", Value: tt.status}).Power(t.Context())
		if got != tt.want || (err != nil) != tt.fails {
			t.Errorf("exit status %s: %v, %v; want %v", tt.status, got, err, tt.want)
		}
	}
}

func TestAnAgentThatHangsHasFailed(t *testing.T) {
	a := testAgent(t, Option{Name: "hang_reboot", Value: "1"})
	a.Timeout = 50 * time.Millisecond
	if err := a.Fence(t.Context()); err == nil || !strings.Contains(err.Error(), "timed out") {
		t.Errorf("Fence = %v", err)
	}
}

func TestAnAgentThatIsMissingOrUnsafeHasFailed(t *testing.T) {
	missing := &Agent{Program: "fence_no_such_agent", Action: Off}
	if err := missing.Fence(t.Context()); err == nil {
		t.Error("a missing agent succeeds")
	}
	a := testAgent(t)
	if err := os.Chmod(a.Program, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := a.Fence(t.Context()); err == nil {
		t.Error("an agent that anybody may change is run as root")
	}
}

// The dummy of Debian's fence-agents keeps the power of a machine in a file.
func TestARealAgent(t *testing.T) {
	if _, err := os.Stat("/usr/sbin/fence_dummy"); err != nil {
		t.Fatalf("install the package fence-agents: %v", err)
	}
	a := &Agent{
		Node: "lb02", Program: "fence_dummy", Action: Off, Timeout: 20 * time.Second,
		Options: []Option{{Name: "status_file", Value: filepath.Join(t.TempDir(), "power")}},
	}
	steps := []struct {
		name string
		do   func() error
		want Power
	}{
		{"monitor", func() error { return a.Check(t.Context()) }, PoweredOff},
		{"reboot", func() error { a.Action = Reboot; return a.Fence(t.Context()) }, On},
		{"off", func() error { a.Action = Off; return a.Fence(t.Context()) }, PoweredOff},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if p, err := a.Power(t.Context()); p != s.want || err != nil {
			t.Errorf("after %s the power is %v (%v), want %v", s.name, p, err, s.want)
		}
	}
}

func TestAgentsAreCheckedAtChangesAndNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var got []string // guarded by mu
		w := NewWatch(func(v Verdict) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, v.Agent.Node+" "+v.Err.Error())
		})
		w.check = func(_ context.Context, a *Agent) error { return errors.New(a.Program) }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.Run(ctx) }()
		want := func(what string, list ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if strings.Join(got, ", ") != strings.Join(list, ", ") {
				t.Errorf("%s: checked %q, want %q", what, got, list)
			}
			got = nil
		}
		want("without agents")
		w.SetAgents([]Agent{{Node: "a", Program: "p"}, {Node: "b", Program: "p"}})
		want("new agents", "a p", "b p")
		time.Sleep(CheckEvery / 2)
		w.SetAgents([]Agent{{Node: "a", Program: "p"}, {Node: "b", Program: "q"}})
		want("one changed", "b q")
		time.Sleep(CheckEvery / 2)
		want("after ten minutes", "a p")
		time.Sleep(CheckEvery)
		want("after twenty", "b q", "a p")
		cancel()
		<-done
	})
}
