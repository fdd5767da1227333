package director

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/check"
)

// probe is a checker that is never asked: its keyword and target.
type probe string

func (p probe) String() string { return string(p) }

func (p probe) Check(context.Context) check.Result { panic("a core asks nobody") }

func backend(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}), 80)
}

func address(n, port int) lvs.Key {
	return lvs.Key{Protocol: lvs.TCP, Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), uint16(port))}
}

// web has servers of these weights with one check each.
func web(weights ...uint32) Service {
	s := Service{Name: "web", Keys: []lvs.Key{address(1, 80)}, Settings: lvs.Settings{Scheduler: "wlc"}}
	for i, w := range weights {
		s.Servers = append(s.Servers, Server{
			Server: lvs.Server{Address: backend(i + 1), Weight: w},
			Checks: []Check{{Checker: probe(fmt.Sprintf("TCP_CHECK %d", i+1))}},
		})
	}
	return s
}

// desk is a core with one service, web, and what became of its orders.
type desk struct {
	*core
	checks []check.Spec
	last   orders
}

func newDesk(s Service) *desk {
	d := &desk{core: newCore()}
	d.apply(s)
	return d
}

func (d *desk) do(n news) {
	d.last = d.core.step(time.Time{}, n)
	if d.last.checks != nil {
		d.checks = *d.last.checks
	}
}

func (d *desk) apply(s Service) { d.do(news{desired: &Desired{Services: []Service{s}}}) }

// finds gives verdicts to checks, by their number.
func (d *desk) finds(v check.Verdict, checks ...int) {
	n := news{verdicts: make(map[string]check.Verdict)}
	for _, i := range checks {
		v.Key, v.Known = d.checks[i].Key, true
		n.verdicts[v.Key] = v
	}
	d.do(n)
}

// wants is what is wanted now: the last numbers of servers with their weights.
func (d *desk) wants() string {
	var s []string
	for _, r := range d.pools[0].wanted[0].Servers {
		s = append(s, fmt.Sprintf("%d=%d", r.Address.Addr().As4()[3], r.Weight))
	}
	return strings.Join(s, " ")
}

// told is what the last step told.
func (d *desk) told() string {
	var s []string
	for _, c := range d.last.changes {
		s = append(s, c.Kind.String())
	}
	return strings.Join(s, ", ")
}

var (
	isUp   = check.Verdict{Up: true}
	isDown = check.Verdict{}
)

func weighs(op check.WeightOp, n int) check.Verdict {
	return check.Verdict{Up: true, Weight: check.Weight{Op: op, Value: n}}
}

func TestWhatIsWantedFollowsTheVerdicts(t *testing.T) {
	type step struct {
		verdict check.Verdict
		checks  []int
		want    string
		told    string
	}
	const both = "server down, server down, quorum lost"
	tests := []struct {
		name   string
		change func(*Service)
		want   string // at the beginning
		told   string // "": that there is quorum
		steps  []step
	}{{
		name:   "a server without checks is up, with alpha too",
		change: func(s *Service) { s.Servers[0].Checks = nil },
		want:   "1=2 2=3",
	}, {
		name:   "all checks of a server must find it up",
		change: func(s *Service) { s.Servers[0].Checks = append(s.Servers[0].Checks, Check{Checker: probe("HTTP_GET")}) },
		want:   "1=2 2=3",
		steps: []step{
			{isDown, []int{1}, "2=3", "server down"},
			{isDown, []int{0}, "2=3", ""},
			{isUp, []int{1}, "2=3", ""},
			{isUp, []int{0}, "1=2 2=3", "server up"},
		},
	}, {
		name:   "inhibit_on_failure keeps a server that is down, with weight 0",
		change: func(s *Service) { s.Servers[0].Inhibit = true },
		want:   "1=2 2=3",
		steps:  []step{{isDown, []int{0}, "1=0 2=3", "server down"}},
	}, {
		name: "without a sorry server what is left stays when quorum is lost",
		change: func(s *Service) {
			s.Quorum = 5
		},
		want:  "1=2 2=3",
		steps: []step{{isDown, []int{0}, "2=3", "server down, quorum lost"}, {isUp, []int{0}, "1=2 2=3", "server up, quorum gained"}},
	}, {
		name: "the sorry server stands alone, but for what inhibit_on_failure keeps",
		change: func(s *Service) {
			s.Quorum, s.Sorry = 5, &SorryServer{Server: lvs.Server{Address: backend(9), Weight: 1}}
			s.Servers[1].Inhibit = true
		},
		want:  "1=2 2=3",
		steps: []step{{isDown, []int{0}, "2=0 9=1", "server down, quorum lost"}, {isUp, []int{0}, "1=2 2=3", "server up, quorum gained"}},
	}, {
		name: "sorry_server_inhibit keeps the sorry server with weight 0",
		change: func(s *Service) {
			s.Sorry = &SorryServer{Server: lvs.Server{Address: backend(9), Weight: 1}, Inhibit: true}
		},
		want:  "1=2 2=3 9=0",
		steps: []step{{isDown, []int{0, 1}, "9=1", both}, {isUp, []int{1}, "2=3 9=0", "server up, quorum gained"}},
	}, {
		name: "a sorry server that is a real server is there once",
		change: func(s *Service) {
			s.Sorry = &SorryServer{Server: lvs.Server{Address: backend(2), Weight: 1}, Inhibit: true}
			s.Servers[1].Inhibit = true
		},
		want:  "1=2 2=3",
		steps: []step{{isDown, []int{0, 1}, "2=1", both}, {isUp, []int{0}, "1=2 2=0", "server up, quorum gained"}},
	}, {
		name:   "hysteresis keeps quorum below it, and lack of quorum above it",
		change: func(s *Service) { s.Quorum, s.Hysteresis = 4, 1 },
		want:   "1=2 2=3",
		steps: []step{
			{isDown, []int{0}, "2=3", "server down"},
			{isUp, []int{0}, "1=2 2=3", "server up"},
			{isDown, []int{1}, "1=2", "server down, quorum lost"},
			{weighs(check.WeightSet, 4), []int{0}, "1=4", "server weight"},
			{weighs(check.WeightSet, 5), []int{0}, "1=5", "server weight, quorum gained"},
		},
	}, {
		name:  "a weight of 0 counts nothing for quorum, which is never there at 0",
		want:  "1=2 2=3",
		steps: []step{{weighs(check.WeightSet, 0), []int{0}, "1=0 2=3", "server weight"}, {isDown, []int{1}, "1=0", "server down, quorum lost"}},
	}, {
		name: "what checks add to a weight adds up",
		change: func(s *Service) {
			s.Servers[0].Checks = append(s.Servers[0].Checks, Check{Checker: probe("FILE_CHECK")})
		},
		want: "1=2 2=3",
		steps: []step{
			{weighs(check.WeightSet, 10), []int{0}, "1=10 2=3", "server weight"},
			{weighs(check.WeightSet, 5), []int{1}, "1=13 2=3", "server weight"},
			{weighs(check.WeightAdjust, 5), []int{1}, "1=15 2=3", "server weight"},
			{weighs(check.WeightAdjust, -50), []int{1}, "1=0 2=3", "server weight"},
			{weighs(check.WeightAdjust, lvs.MaxWeight), []int{1}, fmt.Sprintf("1=%d 2=3", lvs.MaxWeight), "server weight"},
		},
	}, {
		name:  "the weight of a server that is down is told when it comes up",
		want:  "1=2 2=3",
		steps: []step{{isDown, []int{0}, "2=3", "server down"}, {weighs(check.WeightSet, 9), []int{0}, "1=9 2=3", "server up"}},
	}, {
		name:   "verdicts that came together count together",
		change: func(s *Service) { s.Quorum = 2 },
		want:   "1=2 2=3",
		steps:  []step{{isDown, []int{0, 1}, "", both}},
	}, {
		name:   "a service that cannot have quorum says so when it begins",
		change: func(s *Service) { s.Quorum = 6 },
		want:   "1=2 2=3",
		told:   "quorum lost",
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := web(2, 3)
			if tt.change != nil {
				tt.change(&s)
			}
			d := newDesk(s)
			if got := d.wants(); got != tt.want {
				t.Errorf("wanted at first = %q, want %q", got, tt.want)
			}
			if got, want := d.told(), cmp.Or(tt.told, "quorum gained"); got != want {
				t.Errorf("told at first = %q, want %q", got, want)
			}
			for i, step := range tt.steps {
				d.finds(step.verdict, step.checks...)
				if got := d.wants(); got != step.want {
					t.Errorf("step %d: wanted = %q, want %q", i+1, got, step.want)
				}
				if got := d.told(); got != step.told {
					t.Errorf("step %d: told = %q, want %q", i+1, got, step.told)
				}
			}
		})
	}
}

func TestAReloadKeepsTheLatchOfQuorum(t *testing.T) {
	s := web(2, 3)
	s.Quorum, s.Hysteresis = 4, 1
	d := newDesk(s)
	d.finds(isDown, 0)
	if !d.pools[0].quorum {
		t.Fatal("quorum lost within hysteresis")
	}
	s.Scheduler = "rr"
	d.apply(s)
	if !d.pools[0].quorum || d.told() != "" {
		t.Errorf("quorum = %v after a reload, told %q, want it kept", d.pools[0].quorum, d.told())
	}
	s.Hysteresis = 0
	d.apply(s)
	if d.told() != "quorum lost" {
		t.Errorf("told %q without hysteresis, want quorum lost", d.told())
	}
}

func TestWhatIsNotConfiguredAnyMoreSaysThatItIsDown(t *testing.T) {
	s := web(1, 1, 1)
	d := newDesk(s)
	d.finds(isDown, 1)
	s.Servers = s.Servers[2:]
	d.apply(s)
	if d.told() != "server down" || d.last.changes[0].Server != backend(1) {
		t.Errorf("told %q, want that the one that was up is down: %v", d.told(), d.last.changes)
	}
	d.do(news{desired: &Desired{}})
	if d.told() != "server down, quorum lost" {
		t.Errorf("told %q of a service that is gone", d.told())
	}
	if len(d.last.table.Services) != 0 || len(d.checks) != 0 {
		t.Errorf("still wanted: %v, checked: %v", d.last.table.Services, d.checks)
	}
}

func TestAServerThatBeginsDownIsToldDownOnceAnAttemptSaysSo(t *testing.T) {
	s := web(1)
	s.Servers[0].Checks[0].Alpha = true
	d := newDesk(s)
	if d.told() != "quorum lost" {
		t.Errorf("told at first = %q, want that there is no quorum", d.told())
	}
	for i, want := range []string{"server down", ""} {
		if d.finds(isDown, 0); d.told() != want {
			t.Errorf("told after failure %d = %q, want %q", i+1, d.told(), want)
		}
	}
}

func TestAVerdictOfACheckThatIsGoneCountsForNothing(t *testing.T) {
	s := web(1)
	d := newDesk(s)
	old := d.checks[0].Key
	d.do(news{desired: &Desired{}})
	d.apply(s)
	d.do(news{verdicts: map[string]check.Verdict{old: {Key: old}}})
	if d.told() != "" || d.wants() != "1=1" {
		t.Errorf("told %q, wanted %q, want nothing changed", d.told(), d.wants())
	}
}

func TestAReplacedCheckBeginsAsItsServerIs(t *testing.T) {
	for _, v := range []check.Verdict{isUp, isDown} {
		s := web(1)
		d := newDesk(s)
		d.finds(v, 0)
		before := d.wants()
		s.Servers[0].Checks = []Check{{Checker: probe("HTTP_GET"), Settings: check.Settings{Alpha: v.Up}}}
		d.apply(s)
		if d.wants() != before || d.told() != "" || d.checks[0].Alpha == v.Up {
			t.Errorf("up %v: wanted = %q, told %q, alpha %v, want it as it was", v.Up, d.wants(), d.told(), d.checks[0].Alpha)
		}
	}
}

func TestServersStandWhereTheServicesPortIsUnlessTheyAreTranslated(t *testing.T) {
	s := web(1, 1, 1)
	mark := lvs.Key{Mark: 7, MarkFamily: lvs.IPv4}
	s.Keys = []lvs.Key{address(1, 80), address(2, 443), mark}
	s.Servers[1].Method = lvs.DR
	s.Servers[2].Address = netip.AddrPortFrom(s.Servers[2].Address.Addr(), 0)
	d := newDesk(s)
	var got []string
	for _, service := range d.pools[0].wanted {
		for _, r := range service.Servers {
			got = append(got, fmt.Sprintf("%v: %v %v", service.Key, r.Method, r.Address))
		}
	}
	want := []string{
		"tcp 192.0.2.1:80: NAT 10.0.0.1:80", "tcp 192.0.2.1:80: DR 10.0.0.2:80", "tcp 192.0.2.1:80: NAT 10.0.0.3:80",
		"tcp 192.0.2.2:443: NAT 10.0.0.1:80", "tcp 192.0.2.2:443: DR 10.0.0.2:443", "tcp 192.0.2.2:443: NAT 10.0.0.3:443",
		"fwmark 7 ipv4: NAT 10.0.0.1:80", "fwmark 7 ipv4: DR 10.0.0.2:80", "fwmark 7 ipv4: NAT 10.0.0.3:0",
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("wanted (-want +got):\n%s", diff)
	}
}

func TestAServiceOfAGroupIsSuspendedWithoutAnyOfItsAddresses(t *testing.T) {
	mark := lvs.Key{Mark: 7, MarkFamily: lvs.IPv4}
	held := map[netip.Addr]bool{address(2, 80).Address.Addr(): true}
	tests := []struct {
		name    string
		suspend bool
		keys    []lvs.Key
		want    bool
	}{
		{"not asked for", false, []lvs.Key{address(1, 80)}, false},
		{"elsewhere", true, []lvs.Key{address(1, 80), mark}, true},
		{"one of them is here", true, []lvs.Key{address(1, 80), address(2, 80)}, false},
		{"a mark has no address", true, []lvs.Key{mark}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := Service{HASuspend: tt.suspend, Keys: tt.keys}
			if got := s.suspended(held); got != tt.want {
				t.Errorf("suspended = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestValidateNamesWhatCannotBeDirected(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Desired)
		want   string
	}{
		{"no name", func(d *Desired) { d.Services[0].Name = "" }, "service 1 has no name"},
		{"a name twice", func(d *Desired) { d.Services = append(d.Services, web()) }, "service web: listed twice\ntcp 192.0.2.1:80: listed twice"},
		{"no key", func(d *Desired) { d.Services[0].Keys = nil }, "service web: has no address and no mark"},
		{"hysteresis", func(d *Desired) { d.Services[0].Hysteresis = 1 }, "service web: hysteresis 1 is not below quorum 1; use 0 to 0"},
		{"no checker", func(d *Desired) { d.Services[0].Servers[0].Checks[0].Checker = nil }, "service web: server 10.0.0.1:80: check 1 checks nothing"},
		{"the kernel's", func(d *Desired) { d.Services[0].Scheduler = "" }, `tcp 192.0.2.1:80: scheduler "" has 0 characters; use 1 to 15`},
		{"the sorry server", func(d *Desired) {
			d.Services[0].Sorry = &SorryServer{Server: lvs.Server{Address: netip.MustParseAddrPort("[2001:db8::1]:80")}}
		}, "tcp 192.0.2.1:80: server [2001:db8::1]:80: NAT cannot reach another family than the service's; use TUN"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Desired{Services: []Service{web(1)}}
			if err := d.Validate(); err != nil {
				t.Fatalf("before the change: %v", err)
			}
			tt.change(&d)
			if err := d.Validate(); err == nil || err.Error() != tt.want {
				t.Errorf("Validate = %v, want %s", err, tt.want)
			}
		})
	}
}
