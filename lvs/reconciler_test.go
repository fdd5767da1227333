package lvs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/lvstest"
)

func key(n int) lvs.Key {
	addr := netip.AddrFrom4([4]byte{192, 0, 2 + byte(n>>8), byte(n)})
	return lvs.Key{Protocol: lvs.TCP, Address: netip.AddrPortFrom(addr, 80)}
}

func backend(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}), 80)
}

// service is a service with servers 1, 2 and so on of these weights.
func service(n int, weights ...uint32) lvs.Service {
	s := lvs.Service{Key: key(n), Settings: lvs.Settings{Scheduler: "wlc"}}
	for i, w := range weights {
		s.Servers = append(s.Servers, lvs.Server{Address: backend(i + 1), Weight: w})
	}
	return s
}

// world is a reconciler over a kernel in memory. It lives in a synctest bubble.
type world struct {
	*lvs.Reconciler
	t      *testing.T
	kernel *lvstest.Kernel
	stop   func()

	mu   sync.Mutex
	logs strings.Builder
	last lvs.Status
}

// Write takes the log.
func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.logs.Write(p)
}

func (w *world) publish(s lvs.Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = s
}

// status is what was published last.
func (w *world) status() lvs.Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// log is what was logged.
func (w *world) log() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.logs.String()
}

func newWorld(t *testing.T, kernel *lvstest.Kernel, dir string) *world {
	w := &world{t: t, kernel: kernel}
	w.Reconciler = lvs.New(lvs.Options{
		Log:     slog.New(slog.NewTextHandler(w, nil)),
		Kernel:  kernel,
		RunDir:  dir,
		Publish: w.publish,
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	w.stop = func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v, want %v", err, context.Canceled)
		}
	}
	return w
}

// want sets what is wanted and lets the reconciler come to rest.
func (w *world) want(d lvs.Desired) {
	w.Set(d)
	synctest.Wait()
}

// sleep lets time pass, and the reconciler come to rest.
func (w *world) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// wrote checks what was written since the last look.
func (w *world) wrote(want ...string) {
	w.t.Helper()
	var got []string
	for _, op := range w.kernel.Ops() {
		got = append(got, op.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("written (-want +got):\n%s", diff)
	}
}

func (w *world) logged(substr string, want bool) {
	w.t.Helper()
	if got := strings.Contains(w.log(), substr); got != want {
		w.t.Errorf("%q in the log: %v, want %v; the log:\n%s", substr, got, want, w.log())
	}
}

// inBubble runs f with a world over an empty kernel.
func inBubble(t *testing.T, f func(*world)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, new(lvstest.Kernel), dir)
		f(w)
		w.stop()
	})
}

func TestNothingIsTouchedBeforeSomethingIsWanted(t *testing.T) {
	inBubble(t, func(w *world) {
		w.sleep(time.Hour)
		if n := w.kernel.Reads(); n != 0 {
			t.Errorf("the table was read %d times", n)
		}
		w.wrote()
	})
}

func TestOneChangeIsOneOperation(t *testing.T) {
	inBubble(t, func(w *world) {
		services := make([]lvs.Service, 10_000)
		for i := range services {
			services[i] = service(i, 1, 1)
		}
		w.want(lvs.Desired{Services: services})
		if n := len(w.kernel.Ops()); n != 30_000 {
			t.Errorf("first programming: %d operations, want 30000", n)
		}
		changed := append([]lvs.Service(nil), services...)
		changed[77] = service(77, 1, 5)
		w.want(lvs.Desired{Services: changed})
		w.wrote("set tcp 192.0.2.77:80 server 10.0.0.2:80 NAT weight 5")

		w.Put(service(78, 0, 1))
		synctest.Wait()
		w.wrote("set tcp 192.0.2.78:80 server 10.0.0.1:80 NAT weight 0")
		if n := w.kernel.Reads(); n != 1 {
			t.Errorf("the table was read %d times, want once", n)
		}
		w.sleep(61 * time.Second)
		w.wrote()
	})
}

func TestPutOfWhatIsNotWantedDoesNothing(t *testing.T) {
	inBubble(t, func(w *world) {
		w.want(lvs.Desired{})
		w.Put(service(1, 1))
		synctest.Wait()
		w.wrote()
	})
}

func TestRestartWritesNothingWhenAllIsRightAndRemovesWhatIsNotWanted(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		kernel := new(lvstest.Kernel)
		d := lvs.Desired{Services: []lvs.Service{service(1, 1, 1), service(2, 1)}}
		first := newWorld(t, kernel, dir)
		first.want(d)
		first.stop()
		kernel.Ops()

		second := newWorld(t, kernel, dir)
		second.want(d)
		second.wrote()
		second.stop()

		third := newWorld(t, kernel, dir)
		third.want(lvs.Desired{Services: []lvs.Service{service(1, 1)}})
		third.wrote("delete tcp 192.0.2.1:80 server 10.0.0.2:80", "delete tcp 192.0.2.2:80")
		third.logged("somebody else", false)
		third.stop()
	})
}

func TestWhatOthersMadeStaysAndIsReported(t *testing.T) {
	inBubble(t, func(w *world) {
		err := w.kernel.Do(
			lvs.AddService{Key: key(9), Settings: lvs.Settings{Scheduler: "rr"}},
			lvs.AddService{Key: key(1), Settings: lvs.Settings{Scheduler: "wlc"}},
			lvs.AddServer{Key: key(1), Server: lvs.Server{Address: backend(7)}},
			lvs.StartSync{Daemon: lvs.SyncDaemon{Role: lvs.SyncBackup, Interface: "eth0"}},
		)
		if err != nil {
			t.Fatal(err)
		}
		w.want(lvs.Desired{Services: []lvs.Service{service(1, 1)}})
		w.wrote("add tcp 192.0.2.1:80 server 10.0.0.1:80 NAT weight 1")
		var foreign []string
		for _, e := range w.status().Foreign {
			foreign = append(foreign, e.String())
		}
		want := []string{"sync backup", "tcp 192.0.2.1:80 server 10.0.0.7:80", "tcp 192.0.2.9:80"}
		if diff := cmp.Diff(want, foreign); diff != "" {
			t.Errorf("foreign (-want +got):\n%s", diff)
		}
		w.want(lvs.Desired{})
		w.wrote("delete tcp 192.0.2.1:80 server 10.0.0.1:80")
	})
}

func TestServiceThatGoesLeavesWhatOthersJustPutIntoIt(t *testing.T) {
	inBubble(t, func(w *world) {
		w.want(lvs.Desired{Services: []lvs.Service{service(1, 1)}})
		w.kernel.Ops()
		if err := w.kernel.Do(lvs.AddServer{Key: key(1), Server: lvs.Server{Address: backend(7)}}); err != nil {
			t.Fatal(err)
		}
		w.want(lvs.Desired{})
		w.wrote("delete tcp 192.0.2.1:80 server 10.0.0.1:80")
	})
}

func TestWhatOthersChangedIsPutRight(t *testing.T) {
	inBubble(t, func(w *world) {
		w.want(lvs.Desired{Services: []lvs.Service{service(1, 1), service(2)}})
		w.kernel.Ops()
		if err := w.kernel.Do(lvs.DeleteServer{Key: key(1), Address: backend(1)}, lvs.DeleteService{Key: key(2)}); err != nil {
			t.Fatal(err)
		}
		w.sleep(61 * time.Second)
		w.wrote("add tcp 192.0.2.1:80 server 10.0.0.1:80 NAT weight 1", "add tcp 192.0.2.2:80 wlc")
		w.logged("somebody else changed virtual services", true)
	})
}

func TestServerThatGoesKeepsItsConnectionsForAWhile(t *testing.T) {
	tests := []struct {
		name  string
		later lvs.Desired
		last  string // what deletes it
	}{
		{"alone", lvs.Desired{Services: []lvs.Service{service(1, 1)}}, "delete tcp 192.0.2.1:80 server 10.0.0.2:80"},
		{"with the service", lvs.Desired{}, "delete tcp 192.0.2.1:80"},
	}
	for _, tt := range tests {
		for _, end := range []string{"connections end", "time is over"} {
			t.Run(tt.name+", "+end, func(t *testing.T) {
				inBubble(t, func(w *world) {
					tt.later.Drain = 30 * time.Second
					w.want(lvs.Desired{Services: []lvs.Service{service(1, 1, 1)}, Drain: 30 * time.Second})
					w.kernel.Ops()
					w.kernel.Connect(key(1), backend(2), lvs.Connections{Active: 3})
					w.want(tt.later)
					w.kernel.Ops() // weight 0; the cases below see to the rest
					if len(w.status().Draining) == 0 {
						t.Error("nothing is draining")
					}
					w.sleep(20 * time.Second)
					for _, op := range w.kernel.Ops() {
						if op.String() == tt.last {
							t.Errorf("%v came too early", op)
						}
					}
					if end == "connections end" {
						w.kernel.Connect(key(1), backend(2), lvs.Connections{})
						w.sleep(2 * time.Second)
					} else {
						w.sleep(10 * time.Second)
					}
					w.wrote(tt.last)
					if len(w.status().Draining) > 0 {
						t.Errorf("still draining: %v", w.status().Draining)
					}
				})
			})
		}
	}
}

// What fails serves nobody: its clients are better off with another server.
func TestServerThatFailsGoesAtOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		w.want(lvs.Desired{Services: []lvs.Service{service(1, 1, 1, 1)}, Drain: time.Minute})
		for n := 1; n <= 3; n++ {
			w.kernel.Connect(key(1), backend(n), lvs.Connections{Active: 1})
		}
		w.want(lvs.Desired{Services: []lvs.Service{service(1, 1, 1)}, Drain: time.Minute})
		w.kernel.Ops()
		w.Put(service(1, 1))
		synctest.Wait()
		w.wrote("delete tcp 192.0.2.1:80 server 10.0.0.2:80")
		if d := w.status().Draining; len(d) != 1 || d[0].Server != backend(3) {
			t.Errorf("draining %v, want what is not configured any more", d)
		}
		w.sleep(2 * time.Minute)
		w.wrote("delete tcp 192.0.2.1:80 server 10.0.0.3:80")
	})
}

func TestAShorterTimeToDrainCountsAtOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		w.want(lvs.Desired{Services: []lvs.Service{service(1, 1, 1)}, Drain: time.Hour})
		w.kernel.Connect(key(1), backend(2), lvs.Connections{Active: 1})
		w.want(lvs.Desired{Services: []lvs.Service{service(1, 1)}, Drain: time.Hour})
		w.kernel.Ops()
		w.want(lvs.Desired{Services: []lvs.Service{service(1, 1)}})
		w.wrote("delete tcp 192.0.2.1:80 server 10.0.0.2:80")
	})
}

func TestServerThatComesBackIsNoLongerDraining(t *testing.T) {
	inBubble(t, func(w *world) {
		both := lvs.Desired{Services: []lvs.Service{service(1, 1, 4)}, Drain: time.Minute}
		w.want(both)
		w.kernel.Connect(key(1), backend(2), lvs.Connections{Inactive: 1})
		w.kernel.Ops()
		w.want(lvs.Desired{Services: []lvs.Service{service(1, 1)}, Drain: time.Minute})
		w.wrote("set tcp 192.0.2.1:80 server 10.0.0.2:80 NAT weight 0")
		w.sleep(5 * time.Second)
		w.want(both)
		w.wrote("set tcp 192.0.2.1:80 server 10.0.0.2:80 NAT weight 4")
		w.sleep(time.Hour)
		w.wrote()
	})
}

func TestRefusalHoldsUpNothingElseAndIsTriedEverMoreSeldom(t *testing.T) {
	inBubble(t, func(w *world) {
		w.kernel.Refuse(func(op lvs.Op) error {
			if add, ok := op.(lvs.AddService); ok && add.Key == key(1) {
				return unix.ENOENT
			}
			return nil
		})
		w.want(lvs.Desired{Services: []lvs.Service{service(1), service(2)}})
		w.wrote("add tcp 192.0.2.1:80 wlc", "add tcp 192.0.2.2:80 wlc", "add tcp 192.0.2.1:80 wlc")
		if len(w.status().Refused) != 1 || !errors.Is(w.status().Refused[0], unix.ENOENT) {
			t.Errorf("Refused = %v, want ENOENT of one", w.status().Refused)
		}
		w.sleep(10 * time.Minute)
		if n := len(w.kernel.Ops()); n < 20 || n > 30 {
			t.Errorf("%d attempts in 10 minutes, want one every half minute", n)
		}
		if n := strings.Count(w.log(), "refuses"); n != 1 {
			t.Errorf("logged %d times, want once", n)
		}
		w.kernel.Refuse(nil)
		w.sleep(31 * time.Second)
		w.wrote("add tcp 192.0.2.1:80 wlc")
		if len(w.status().Refused) != 0 {
			t.Errorf("Refused = %v, want none", w.status().Refused)
		}
	})
}

func TestRaceWithSomebodyElseIsSettledAtOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		w.want(lvs.Desired{Services: []lvs.Service{service(1, 1)}})
		w.kernel.Ops()
		if err := w.kernel.Do(lvs.AddServer{Key: key(1), Server: lvs.Server{Address: backend(2), Weight: 9}}); err != nil {
			t.Fatal(err)
		}
		w.want(lvs.Desired{Services: []lvs.Service{service(1, 1, 1)}})
		w.wrote(
			"add tcp 192.0.2.1:80 server 10.0.0.2:80 NAT weight 1", // EEXIST
			"set tcp 192.0.2.1:80 server 10.0.0.2:80 NAT weight 1",
		)
		w.logged("refuses", false)
	})
}

func TestAfterALostExchangeAllIsReadAnew(t *testing.T) {
	inBubble(t, func(w *world) {
		w.kernel.Break(unix.ENOBUFS)
		w.want(lvs.Desired{Services: []lvs.Service{service(1, 1)}})
		if !errors.Is(w.status().Err, unix.ENOBUFS) {
			t.Errorf("Err = %v, want %v", w.status().Err, unix.ENOBUFS)
		}
		w.sleep(10 * time.Second)
		w.kernel.Break(nil)
		w.sleep(30 * time.Second)
		w.wrote("add tcp 192.0.2.1:80 wlc", "add tcp 192.0.2.1:80 server 10.0.0.1:80 NAT weight 1")
		if w.status().Err != nil {
			t.Errorf("Err = %v, want nil", w.status().Err)
		}
	})
}

func TestStateReadsTheKernel(t *testing.T) {
	inBubble(t, func(w *world) {
		w.want(lvs.Desired{Services: []lvs.Service{service(1, 1), service(2)}})
		w.kernel.Connect(key(1), backend(1), lvs.Connections{Active: 7})
		states, err := w.State(w.t.Context(), key(1))
		if err != nil || len(states) != 1 || states[0].Servers[0].Connections.Active != 7 {
			t.Errorf("State = %v, %v, want one service with 7 connections", states, err)
		}
	})
}

// Ten minutes in which servers flap, others meddle, and the kernel fails now and
// then: in the end the table is what is wanted, and nothing is refused.
func TestTableIsRightAfterTenMinutesOfChaos(t *testing.T) {
	inBubble(t, func(w *world) {
		random := rand.New(rand.NewPCG(4, 2))
		services := make([]lvs.Service, 100)
		for i := range services {
			services[i] = service(i, 1, 1, 1)
		}
		w.want(lvs.Desired{Services: services, Drain: 5 * time.Second})
		for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); {
			w.sleep(time.Duration(random.IntN(200)) * time.Millisecond)
			i := random.IntN(len(services))
			switch random.IntN(20) {
			case 0:
				_ = w.kernel.Do(lvs.DeleteServer{Key: key(i), Address: backend(1 + random.IntN(3))})
			case 1:
				_ = w.kernel.Do(lvs.DeleteService{Key: key(i)})
			case 2:
				w.kernel.Break(unix.ENOMEM)
			case 3:
				w.Set(lvs.Desired{Services: services, Drain: 5 * time.Second})
			default:
				w.kernel.Break(nil)
				var weights []uint32
				for range random.IntN(4) {
					weights = append(weights, uint32(random.IntN(3)))
				}
				services = append([]lvs.Service(nil), services...)
				services[i] = service(i, weights...)
				w.Put(services[i])
			}
		}
		w.kernel.Break(nil)
		w.sleep(3 * time.Minute)
		states, err := w.kernel.Read(w.t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if ops := lvs.Diff(services, states, nil); len(ops) > 0 {
			t.Errorf("not as wanted: %v", ops)
		}
		for _, s := range states {
			if got, want := len(s.Servers), len(services[index(services, s.Key)].Servers); got != want {
				t.Errorf("%v has %d servers, want %d", s.Key, got, want)
			}
		}
		if len(w.status().Refused)+len(w.status().Draining)+len(w.status().Foreign) > 0 {
			t.Errorf("left over: %s", fmt.Sprint(w.status()))
		}
	})
}

func index(services []lvs.Service, k lvs.Key) int {
	for i := range services {
		if services[i].Key == k {
			return i
		}
	}
	return -1
}
