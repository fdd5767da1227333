package balance_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/director"
	"github.com/hacluster/hacluster/lvs/ipvs"
	"github.com/hacluster/hacluster/lvs/lvstest"
	"github.com/hacluster/hacluster/node/balance"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/observed/override"
	"github.com/hacluster/hacluster/vrrp"
)

// bench is a Balancer over a table in memory, and what it tells.
type bench struct {
	*balance.Balancer
	t      *testing.T
	table  lvstest.Kernel
	runDir string
	cancel context.CancelCauseFunc
	ended  chan error

	mu       sync.Mutex
	missing  error // why the table cannot be opened
	opened   int
	timeouts ipvs.Timeouts
	alerts   []string
	events   []string
}

var errStopped = errors.New("signal terminated")

// kernel is the table as a Balancer has it.
type kernel struct {
	*lvstest.Kernel
	b *bench
}

func (kernel) Close() error { return nil }

func (k kernel) SetTimeouts(t ipvs.Timeouts) error {
	k.b.mu.Lock()
	defer k.b.mu.Unlock()
	k.b.timeouts = t
	return nil
}

// start runs a Balancer. Everything stands still when it returns.
func start(t *testing.T, runDir string) *bench { return follow(t, runDir, balance.Known{}) }

// follow is start for a process to which another one has handed over.
func follow(t *testing.T, runDir string, before balance.Known) *bench {
	b := &bench{t: t, runDir: runDir, ended: make(chan error, 1)}
	note := func(list *[]string, format string, args ...any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		*list = append(*list, fmt.Sprintf(format, args...))
	}
	b.Balancer = balance.New(balance.Options{
		Log: slog.New(slog.DiscardHandler), Node: "lb01", RunDir: b.runDir, Before: before,
		Record: func(e observed.Event) { note(&b.events, "%s %s %s", e.Unit, e.Instance, e.To) },
		Alert: func(a observed.Alert) {
			word := "open"
			if !a.Resolved.IsZero() {
				word = "end"
			}
			note(&b.alerts, "%s %s", word, strings.TrimSuffix(a.ID, "/"))
		},
		Open: func(context.Context) (balance.Kernel, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.opened++
			if b.missing != nil {
				return nil, b.missing
			}
			return kernel{&b.table, b}, nil
		},
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	b.cancel = cancel
	go func() { b.ended <- b.Run(ctx) }()
	synctest.Wait()
	return b
}

// apply has a document run, and waits until nothing moves.
func (b *bench) apply(document string) {
	b.t.Helper()
	cfg, findings := config.Compile(syntax.Parse("f", document), "lb01")
	if err := findings.Err(); err != nil {
		b.t.Fatal(err)
	}
	w, err := balance.Prepare(desired.For(cfg))
	if err != nil {
		b.t.Fatal(err)
	}
	b.Apply(w)
	b.pass()
}

// pass lets a moment go by.
func (b *bench) pass() {
	time.Sleep(100 * time.Millisecond)
	synctest.Wait()
}

// lacks says why the table cannot be opened; nil: it can.
func (b *bench) lacks(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.missing = err
}

func (b *bench) stop() {
	b.t.Helper()
	b.cancel(errStopped)
	if err := <-b.ended; err == nil || err.Error() != errStopped.Error() {
		b.t.Errorf("Run = %v, want %v alone", err, errStopped)
	}
}

// wantTable compares the table: each service with its servers, and daemons.
func (b *bench) wantTable(want ...string) {
	b.t.Helper()
	var got []string
	states, err := b.table.Read(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, s := range states {
		fields := []string{s.Key.String()}
		slices.SortFunc(s.Servers, func(a, b lvs.ServerState) int { return a.Address.Compare(b.Address) })
		for _, r := range s.Servers {
			fields = append(fields, fmt.Sprintf("%v=%d", r.Address, r.Weight))
		}
		got = append(got, strings.Join(fields, " "))
	}
	slices.Sort(got)
	daemons, err := b.table.ReadSync(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, d := range daemons {
		got = append(got, "sync "+d.Role.String())
	}
	if d := cmp.Diff(want, got); d != "" {
		b.t.Errorf("table (-want +got):\n%s", d)
	}
}

// wantTold compares the alerts since the last call.
func (b *bench) wantTold(want ...string) {
	b.t.Helper()
	b.mu.Lock()
	got := b.alerts
	b.alerts = nil
	b.mu.Unlock()
	if d := cmp.Diff(want, got); d != "" {
		b.t.Errorf("alerts (-want +got):\n%s", d)
	}
}

func server(number int, file string) string {
	return fmt.Sprintf(`
		real_server 10.0.0.%d 80 {
			FILE_CHECK { track_file %s
				weight 0 }
		}`, number, file)
}

// web is a service of which real servers are down while their file says 1.
func web(dir string, servers string) string {
	return fmt.Sprintf(`
		track_file one { file %[1]s/one }
		track_file two { file %[1]s/two }
		virtual_server 192.0.2.1 80 {
			protocol TCP
			sorry_server 127.0.0.1 8080
			%[2]s
		}`, dir, servers)
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsOpenedWithoutAVirtualServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, t.TempDir())
		b.apply("")
		b.Units(nil)
		b.pass()
		services, err := b.Services(t.Context())
		if b.opened != 0 || len(services) > 0 || err != nil {
			t.Errorf("opened %d times; services %v, %v", b.opened, services, err)
		}
		b.stop()
		b.wantTold()
	})
}

func TestTheTableFollowsTheServersAndTheDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		b := start(t, t.TempDir())
		if err := b.table.Do(lvs.AddService{Key: lvs.Key{Mark: 9, MarkFamily: lvs.IPv4}, Settings: lvs.Settings{Scheduler: "rr"}}); err != nil {
			t.Fatal(err)
		}
		const foreign = "fwmark 9 ipv4"
		b.apply("global_defs { lvs_timeouts udp 10 }" + web(dir, server(1, "one")+server(2, "two")))
		b.wantTable(foreign, "tcp 192.0.2.1:80 10.0.0.1:80=1 10.0.0.2:80=1")
		if want := (ipvs.Timeouts{UDP: 10 * time.Second}); b.timeouts != want {
			t.Errorf("timeouts %v, want %v", b.timeouts, want)
		}
		b.wantTold()

		write(t, dir, "two", "1")
		time.Sleep(3 * time.Second)
		b.pass()
		b.wantTable(foreign, "tcp 192.0.2.1:80 10.0.0.1:80=1")
		b.wantTold("open real_server_down/lb01/tcp 192.0.2.1:80/10.0.0.2:80")
		services, err := b.Services(t.Context())
		if err != nil || len(services) != 1 || !services[0].Quorum || services[0].Servers[1].Up {
			t.Errorf("services %+v, %v", services, err)
		}

		write(t, dir, "one", "1")
		time.Sleep(3 * time.Second)
		b.pass()
		b.wantTable(foreign, "tcp 192.0.2.1:80 127.0.0.1:8080=1")
		b.wantTold("open real_server_down/lb01/tcp 192.0.2.1:80/10.0.0.1:80", "open service_quorum_lost/lb01/tcp 192.0.2.1:80")

		write(t, dir, "two", "0")
		time.Sleep(3 * time.Second)
		b.pass()
		b.wantTable(foreign, "tcp 192.0.2.1:80 10.0.0.2:80=1")
		b.wantTold("end real_server_down/lb01/tcp 192.0.2.1:80/10.0.0.2:80", "end service_quorum_lost/lb01/tcp 192.0.2.1:80")

		b.apply(web(dir, server(2, "two")+"real_server 10.0.0.3 80 { }"))
		b.wantTable(foreign, "tcp 192.0.2.1:80 10.0.0.2:80=1 10.0.0.3:80=1")
		b.wantTold("end real_server_down/lb01/tcp 192.0.2.1:80/10.0.0.1:80") // nobody wants it

		b.apply("")
		b.wantTable(foreign)
		b.stop()
		b.wantTold()
		const service = "tcp 192.0.2.1:80 "
		want := []string{
			service + " with quorum", service + "10.0.0.2:80 down",
			service + "10.0.0.1:80 down", service + " without quorum",
			service + "10.0.0.2:80 up", service + " with quorum",
			service + "10.0.0.2:80 down", service + "10.0.0.3:80 down", service + " without quorum", // configured no more
		}
		if d := cmp.Diff(want, b.events); d != "" {
			t.Errorf("events (-want +got):\n%s", d)
		}
	})
}

// The heir of a planned restart goes on with what its predecessor knew.
func TestAServerThatIsDownStaysOutOverAPlannedRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		document := web(dir, server(1, "one")+server(2, "two"))
		write(t, dir, "two", "1")
		before := start(t, t.TempDir())
		before.apply(document)
		time.Sleep(3 * time.Second)
		before.pass()
		known := before.HandOver()
		const name = "tcp 192.0.2.1:80"
		want := balance.Known{
			ServersDown: map[string][]netip.AddrPort{name: {netip.MustParseAddrPort("10.0.0.2:80")}}, Quorum: map[string]bool{name: true},
		}
		if d := cmp.Diff(want, known, cmpopts.EquateComparable(netip.AddrPort{})); d != "" {
			t.Errorf("handed over (-want +got):\n%s", d)
		}
		before.stop()

		heir := follow(t, t.TempDir(), known)
		heir.apply(document)
		heir.wantTable("tcp 192.0.2.1:80 10.0.0.1:80=1")
		time.Sleep(3 * time.Second)
		heir.pass()
		heir.wantTold("open real_server_down/lb01/" + name + "/10.0.0.2:80")
		if len(heir.events) > 0 {
			t.Errorf("events %q, want none: nothing has happened", heir.events)
		}
		if again := heir.HandOver(); !cmp.Equal(known, again, cmpopts.EquateComparable(netip.AddrPort{})) {
			t.Errorf("handed over again: %v, want %v", again, known)
		}
		heir.apply(web(dir, "weight 5"+server(1, "one")+server(2, "two")))
		heir.wantTable("tcp 192.0.2.1:80 10.0.0.1:80=5")
		write(t, dir, "two", "0")
		time.Sleep(3 * time.Second)
		heir.pass()
		heir.wantTable("tcp 192.0.2.1:80 10.0.0.1:80=5 10.0.0.2:80=5")
		heir.stop()
	})
}

func TestTheTableIsClearedAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, t.TempDir())
		b.apply(web(t.TempDir(), server(1, "one")) + "global_defs { lvs_sync_daemon eth0 }")
		b.wantTable("tcp 192.0.2.1:80 10.0.0.1:80=1", "sync master", "sync backup")
		b.stop()
		b.wantTable()
		b.wantTold()
	})
}

func TestWhatAnEarlierProcessLeftGoesWhenNobodyWantsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runDir := t.TempDir()
		write(t, runDir, "ipvs", "+ tcp 192.0.2.7:80\n")
		b := start(t, runDir)
		if err := b.table.Do(lvs.AddService{
			Key:      lvs.Key{Protocol: lvs.TCP, Address: netip.MustParseAddrPort("192.0.2.7:80")},
			Settings: lvs.Settings{Scheduler: "rr"},
		}); err != nil {
			t.Fatal(err)
		}
		b.pass()
		b.wantTable("tcp 192.0.2.7:80") // what is wanted is not known yet
		b.apply("")
		b.wantTable()
		b.stop()
	})
}

func TestAKernelWithoutIPVSIsToldAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, t.TempDir())
		b.lacks(ipvs.ErrMissing)
		b.apply(web(t.TempDir(), server(1, "one")))
		b.wantTold("open no_ipvs/lb01")
		if _, err := b.Services(t.Context()); !errors.Is(err, ipvs.ErrMissing) {
			t.Errorf("Services = %v, want %v", err, ipvs.ErrMissing)
		}
		for range 100 {
			b.Units([]vrrp.UnitStatus{}) // news do not hurry it
			b.pass()
		}
		if b.opened != 1 {
			t.Errorf("opened %d times in 10 s, want once", b.opened)
		}
		b.lacks(nil)
		time.Sleep(30 * time.Second)
		b.pass()
		b.wantTable("tcp 192.0.2.1:80 10.0.0.1:80=1")
		b.wantTold("end no_ipvs/lb01")
		b.stop()
	})
}

func TestTheEndOfAllVirtualServersEndsTheAlertOfAMissingKernel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, t.TempDir())
		b.lacks(ipvs.ErrMissing)
		b.apply(web(t.TempDir(), server(1, "one")))
		b.apply("")
		b.wantTold("open no_ipvs/lb01", "end no_ipvs/lb01")
		b.stop()
	})
}

func TestRolesFollowTheInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		b := start(t, t.TempDir())
		document := web(dir, "ha_suspend\n"+server(1, "one")+server(2, "two")) + `
			global_defs { lvs_sync_daemon eth0 V }
			vrrp_instance V { interface eth0
				virtual_router_id 51
				virtual_ipaddress { 192.0.2.1 } }`
		unit := func(s vrrp.State) []vrrp.UnitStatus {
			return []vrrp.UnitStatus{{Instances: []vrrp.InstanceStatus{{
				Name: "V", State: s, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")},
			}}}}
		}
		write(t, dir, "two", "1")
		b.apply(document)
		time.Sleep(5 * time.Second)
		b.pass()
		// Nothing is held here, so nothing is checked.
		b.wantTable("tcp 192.0.2.1:80 10.0.0.1:80=1 10.0.0.2:80=1", "sync backup")
		b.Units(unit(vrrp.Master))
		time.Sleep(5 * time.Second)
		b.pass()
		b.wantTable("tcp 192.0.2.1:80 10.0.0.1:80=1", "sync master")
		b.Units(unit(vrrp.Backup))
		b.pass()
		b.wantTable("tcp 192.0.2.1:80 10.0.0.1:80=1", "sync backup")
		b.stop()
	})
}

func TestAServiceThatTheKernelRefusesTwiceIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, t.TempDir())
		b.table.Refuse(func(op lvs.Op) error { return errors.New("scheduler not found") })
		b.apply(web(t.TempDir(), server(1, "one")))
		time.Sleep(2 * time.Second)
		b.pass()
		b.mu.Lock()
		told := slices.Compact(slices.Clone(b.alerts))
		b.mu.Unlock()
		if want := []string{"open service_refused/lb01"}; !slices.Equal(told, want) {
			t.Errorf("alerts %v, want %v", told, want)
		}
		b.table.Refuse(nil)
		time.Sleep(30 * time.Second)
		b.pass()
		b.mu.Lock()
		last := b.alerts[len(b.alerts)-1]
		b.mu.Unlock()
		if want := "end service_refused/lb01"; last != want {
			t.Errorf("last alert %v, want %v", last, want)
		}
		b.stop()
	})
}

// A worker that starts again knows the weights given by hand before the first
// configuration runs.
func TestWeightsByHandCountFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		b := start(t, t.TempDir())
		drained := override.Override{Which: override.Which{Service: "tcp 192.0.2.1:80", Server: netip.MustParseAddrPort("10.0.0.1:80")}, By: "root"}
		b.Override([]override.Override{drained})
		b.apply(web(dir, server(1, "one")+server(2, "two")))
		b.wantTable("tcp 192.0.2.1:80 10.0.0.1:80=0 10.0.0.2:80=1")
		b.Override(nil)
		b.pass()
		b.wantTable("tcp 192.0.2.1:80 10.0.0.1:80=1 10.0.0.2:80=1")
		b.mu.Lock()
		if want := "tcp 192.0.2.1:80 10.0.0.1:80 weight 1"; !slices.Contains(b.events, want) {
			t.Errorf("events %q, want %q among them", b.events, want)
		}
		b.mu.Unlock()
		b.stop()
	})
}

func TestServerThatAnEditRemovesKeepsItsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		b := start(t, t.TempDir())
		graceful := "cluster {\n lvs_drain 60\n}\n"
		b.apply(graceful + web(dir, server(1, "one")+server(2, "two")))
		key := lvs.Key{Protocol: lvs.TCP, Address: netip.MustParseAddrPort("192.0.2.1:80")}
		b.table.Connect(key, netip.MustParseAddrPort("10.0.0.2:80"), lvs.Connections{Active: 1})
		b.apply(graceful + web(dir, server(1, "one")))
		b.wantTable("tcp 192.0.2.1:80 10.0.0.1:80=1 10.0.0.2:80=0")
		time.Sleep(2 * time.Second) // until its connections are looked at again
		synctest.Wait()
		if d := b.Table().Draining; len(d) != 1 || d[0].Connections.Active != 1 {
			t.Errorf("draining %v, want one with a connection", d)
		}
		time.Sleep(time.Minute)
		b.pass()
		b.wantTable("tcp 192.0.2.1:80 10.0.0.1:80=1")
		b.stop()
	})
}

func TestServerThatOthersSeeUpIsKeptUntilTheyDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		b := start(t, t.TempDir())
		b.apply("cluster {\n lvs_agree\n}\n" + web(dir, server(1, "one")+server(2, "two")))
		two := director.KeyOf("tcp 192.0.2.1:80", netip.MustParseAddrPort("10.0.0.2:80"))
		b.Hear(map[director.ServerKey]director.Others{two: {Heard: 2}})
		write(t, dir, "two", "1")
		time.Sleep(3 * time.Second)
		b.pass()
		b.wantTable("tcp 192.0.2.1:80 10.0.0.1:80=1 10.0.0.2:80=1")
		b.wantTold()
		services, err := b.Verdicts(t.Context())
		if err != nil || len(services) != 1 || services[0].Servers[1].Up || !services[0].Servers[1].Kept {
			t.Errorf("services %+v, %v; want the second server down and kept", services, err)
		}
		if down := b.HandOver().ServersDown; len(down) > 0 {
			t.Errorf("handed over as down: %v", down)
		}
		sight, err := b.Look(t.Context(), nil)
		if err != nil || len(sight.Servers) != 1 || sight.Servers[0].Opinion != director.SeesDown {
			t.Errorf("sight %+v, %v; want the second server seen down", sight, err)
		}

		b.Hear(map[director.ServerKey]director.Others{two: {Heard: 2, Down: 1}})
		b.pass()
		b.wantTable("tcp 192.0.2.1:80 10.0.0.1:80=1")
		b.wantTold("open real_server_down/lb01/tcp 192.0.2.1:80/10.0.0.2:80")
		b.stop()
	})
}
