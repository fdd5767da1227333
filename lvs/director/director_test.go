package director_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hacluster/hacluster/internal/run"
	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/check"
	"github.com/hacluster/hacluster/lvs/director"
	"github.com/hacluster/hacluster/lvs/lvstest"
)

var (
	vip   = netip.MustParseAddr("192.0.2.1")
	web   = lvs.Key{Protocol: lvs.TCP, Address: netip.AddrPortFrom(vip, 80)}
	sorry = netip.MustParseAddrPort("10.0.0.99:80")
)

func backend(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}), 80)
}

// world is a director between a scheduler of checks, whose answers the test
// gives, and a reconciler over a kernel in memory. It lives in a synctest bubble.
type world struct {
	*director.Director
	t      *testing.T
	kernel *lvstest.Kernel
	leave  func(cause error)

	mu       sync.Mutex
	found    map[string]check.Result // what checks find; nothing: up
	attempts map[string]int
	refused  []lvs.Refusal // by the kernel
	scripts  []string
	changes  []string
}

// asked is a checker that finds what the test wants.
type asked struct {
	Name  string
	world *world
}

func (a asked) String() string { return "ASKED " + a.Name }

func (a asked) Check(context.Context) check.Result {
	a.world.mu.Lock()
	defer a.world.mu.Unlock()
	a.world.attempts[a.Name]++
	r, ok := a.world.found[a.Name]
	if !ok {
		r.Up = true
	}
	r.Reason = fmt.Sprintf("%v: up %v", a, r.Up)
	return r
}

// inWorld runs f in a bubble, and wants nothing left of it.
func inWorld(t *testing.T, f func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, kernel: &lvstest.Kernel{}, found: map[string]check.Result{}, attempts: map[string]int{}}
		log := slog.New(slog.DiscardHandler)
		table := lvs.New(lvs.Options{Log: log, Kernel: w.kernel, RunDir: t.TempDir(), Publish: w.publish})
		w.Director = director.New(director.Options{Log: log, Table: table, RunScript: w.script, Tell: w.tell})
		checks := check.NewScheduler(check.Options{Report: w.Report, Logger: log})

		ctx, stop := context.WithCancel(t.Context())
		directed, leave := context.WithCancelCause(ctx)
		var all sync.WaitGroup
		all.Go(func() { table.Run(ctx) })
		all.Go(func() { checks.Run(ctx) })
		var err error
		all.Go(func() { err = w.Run(directed, checks) })
		w.leave = func(cause error) {
			leave(cause)
			synctest.Wait()
			if !errors.Is(err, cause) {
				t.Errorf("Run = %v, want %v", err, cause)
			}
		}
		f(t, w)
		stop()
		all.Wait()
	})
}

func (w *world) publish(s lvs.Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused = append(w.refused, s.Refused...)
}

func (w *world) script(_ string, c run.Command) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scripts = append(w.scripts, c.Argv[0])
}

func (w *world) tell(c director.Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changes = append(w.changes, c.Kind.String())
}

// finds has checks find something from now on, and waits until they were made.
func (w *world) finds(r check.Result, names ...string) {
	w.mu.Lock()
	for _, name := range names {
		w.found[name] = r
	}
	w.mu.Unlock()
	w.sleep(time.Second)
}

var (
	up   = check.Result{Up: true}
	down = check.Result{}
)

func (w *world) apply(services ...director.Service) {
	w.t.Helper()
	d := director.Desired{Services: services}
	if err := d.Validate(); err != nil {
		w.t.Fatal(err)
	}
	w.Apply(d)
	synctest.Wait()
}

func (w *world) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// holds checks what is in the kernel: servers with their weights.
func (w *world) holds(want ...string) {
	w.t.Helper()
	states, err := w.kernel.Read(w.t.Context(), web)
	if err != nil {
		w.t.Fatal(err)
	}
	var got []string
	for _, s := range states {
		for _, r := range s.Servers {
			got = append(got, fmt.Sprintf("%v weight %d", r.Address, r.Weight))
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("in the kernel (-want +got):\n%s", diff)
	}
}

// ran checks which scripts ran since the last look.
func (w *world) ran(want ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if diff := cmp.Diff(want, w.scripts); diff != "" {
		w.t.Errorf("scripts (-want +got):\n%s", diff)
	}
	w.scripts = nil
}

// tried is how often a check was made.
func (w *world) tried(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.attempts[name]
}

// service has n servers of weight 1, each with a check of its name and scripts.
func (w *world) service(n int) director.Service {
	s := director.Service{
		Name: "web", Keys: []lvs.Key{web}, Settings: lvs.Settings{Scheduler: "wlc"},
		QuorumUp: script("quorum up"), QuorumDown: script("quorum down"),
	}
	for i := range n {
		name := fmt.Sprintf("web%d", i+1)
		s.Servers = append(s.Servers, director.Server{
			Server:   lvs.Server{Address: backend(i + 1), Weight: 1},
			NotifyUp: script(name + " up"), NotifyDown: script(name + " down"),
			Checks: []director.Check{w.check(name)},
		})
	}
	return s
}

func (w *world) check(name string) director.Check {
	return director.Check{Checker: asked{name, w}, Settings: check.Settings{DelayLoop: time.Second}}
}

func script(name string) run.Command { return run.Command{Argv: []string{name}} }

// This is what the package is for.
func TestAServiceFollowsItsServers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.service(3)
		s.Quorum = 2
		s.Sorry = &director.SorryServer{Server: lvs.Server{Address: sorry, Weight: 1}}
		w.apply(s)
		w.holds("10.0.0.1:80 weight 1", "10.0.0.2:80 weight 1", "10.0.0.3:80 weight 1")
		w.ran("quorum up")

		w.finds(down, "web2")
		w.holds("10.0.0.1:80 weight 1", "10.0.0.3:80 weight 1")
		w.ran("web2 down")

		w.finds(down, "web1")
		w.holds("10.0.0.99:80 weight 1")
		w.ran("web1 down", "quorum down")

		w.finds(up, "web2")
		w.holds("10.0.0.2:80 weight 1", "10.0.0.3:80 weight 1")
		w.ran("web2 up", "quorum up")

		want := []string{"quorum gained", "server down", "server down", "quorum lost", "server up", "quorum gained"}
		if diff := cmp.Diff(want, w.changes); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

func TestAChangeOfWeightIsOneOperation(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.apply(w.service(2))
		w.sleep(3 * time.Second)
		w.kernel.Ops()
		w.finds(check.Result{Up: true, Weight: check.Weight{Op: check.WeightSet, Value: 7}}, "web2")
		w.sleep(3 * time.Second)
		if ops := w.kernel.Ops(); len(ops) != 1 {
			t.Errorf("%d operations, want 1: %v", len(ops), ops)
		}
		w.holds("10.0.0.1:80 weight 1", "10.0.0.2:80 weight 7")
	})
}

func TestAReloadKeepsWhatChecksFound(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.apply(w.service(2))
		w.finds(down, "web2")
		w.kernel.Ops()
		w.ran("quorum up", "web2 down")

		s := w.service(3)
		slices.Reverse(s.Servers)
		s.Servers[1].Checks = append([]director.Check{w.check("more")}, s.Servers[1].Checks...)
		s.Servers[2].Checks[0].Retry = 3
		s.Servers[2].Checks[0].Alpha = true
		other := w.check("other")
		other.Alpha = true
		s.Servers[2].Checks = append(s.Servers[2].Checks, other)
		w.apply(s)

		w.holds("10.0.0.1:80 weight 1", "10.0.0.3:80 weight 1")
		w.sleep(3 * time.Second)
		if ops := w.kernel.Ops(); len(ops) != 1 {
			t.Errorf("%d operations, want only the new server: %v", len(ops), ops)
		}
		w.ran()
	})
}

func TestAlphaBeginsDownAndTellsWhatIsFoundFirst(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.service(1)
		s.Servers[0].Checks[0].Alpha = true
		s.Servers[0].Checks[0].Warmup = time.Minute
		w.mu.Lock()
		w.found["web1"] = down
		w.mu.Unlock()
		w.apply(s)
		w.holds()
		w.ran("quorum down")
		w.sleep(time.Minute)
		w.ran("web1 down")
		w.finds(up, "web1")
		w.holds("10.0.0.1:80 weight 1")
		w.ran("web1 up", "quorum up")
	})
}

func TestHASuspendStopsTheChecksWhileTheAddressIsElsewhere(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.service(1)
		s.HASuspend = true
		w.apply(s)
		w.sleep(10 * time.Second)
		if n := w.tried("web1"); n != 0 {
			t.Errorf("%d attempts without the address, want 0", n)
		}
		w.Hold(map[netip.Addr]bool{vip: true})
		w.finds(down, "web1")
		w.holds()
		n := w.tried("web1")

		w.Hold(nil)
		w.finds(up, "web1")
		w.sleep(10 * time.Second)
		w.holds()
		if more := w.tried("web1") - n; more != 0 {
			t.Errorf("%d attempts after the address went, want 0", more)
		}
	})
}

func TestOmegaTellsWhenTheDirectorStops(t *testing.T) {
	tests := []struct {
		name  string
		omega bool
		cause error
		want  []string
	}{
		{"omega", true, context.Canceled, []string{"web1 down", "quorum down"}},
		{"no omega", false, context.Canceled, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				s := w.service(2)
				s.Omega = tt.omega
				w.apply(s)
				w.finds(down, "web2")
				w.ran("quorum up", "web2 down")
				w.leave(tt.cause)
				w.ran(tt.want...)
				w.holds("10.0.0.1:80 weight 1")
				if _, err := w.Status(t.Context()); !errors.Is(err, director.ErrNotRunning) {
					t.Errorf("Status = %v, want %v", err, director.ErrNotRunning)
				}
			})
		})
	}
}

func TestStatusSaysWhatIsUpSinceWhenAndWhy(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		start := time.Now()
		w.apply(w.service(2))
		w.finds(down, "web1", "web2")
		w.finds(up, "web2")
		w.kernel.Connect(web, backend(2), lvs.Connections{Active: 3})
		services, err := w.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		states, err := w.kernel.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		director.AddStates(services, states)
		var got strings.Builder
		for _, s := range services {
			fmt.Fprintf(&got, "%s %s quorum %v since %v, weight %d of %d: %s\n", s.Name, s.Scheduler, s.Quorum, s.Since.Sub(start), s.Weight, s.Keep, s.Reason)
			for _, r := range s.Servers {
				fmt.Fprintf(&got, "%v weight %d of %d, up %v since %v, active %d: %s\n", r.Address, r.Weight, r.Configured, r.Up, r.Since.Sub(start), r.Connections.Active, r.Reason)
			}
		}
		want := `web wlc quorum true since 2s, weight 1 of 1: the servers that are up have weight 1, quorum is 1
10.0.0.1:80 weight 1 of 1, up false since 1s, active 0: ASKED web1: up false
10.0.0.2:80 weight 1 of 1, up true since 2s, active 3: ASKED web2: up true
`
		if diff := cmp.Diff(want, got.String()); diff != "" {
			t.Errorf("status (-want +got):\n%s", diff)
		}
	})
}
