package splitbrain

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lan joins arbiters in a synctest bubble: what one sends, the other receives
// a millisecond later.
type lan struct {
	mu    sync.Mutex
	nodes map[string]*testNode
	sent  int
	bytes int
	cut   bool // nothing gets through
}

// testNode is an arbiter with what it said.
type testNode struct {
	name     string
	arbiter  *Arbiter
	verdicts []UnitVerdict
	alerts   []Alert
	view     PeerView
}

func newLAN(ctx context.Context, wg *sync.WaitGroup, names ...string) *lan {
	l := &lan{nodes: make(map[string]*testNode)}
	for i, name := range names {
		n := &testNode{name: name}
		n.arbiter = New(Options{
			Node: name, Boot: BootID(i + 1), Cluster: 9,
			Deliver: func(v []UnitVerdict) { l.locked(func() { n.verdicts = append(n.verdicts, v...) }) },
			Alert:   func(a Alert) { l.locked(func() { n.alerts = append(n.alerts, a) }) },
			Publish: func(v PeerView) { l.locked(func() { n.view = v }) },
			Send:    l.send,
		})
		l.nodes[name] = n
		var members []Member
		for _, other := range names {
			members = append(members, Member{Name: other})
		}
		n.arbiter.SetMembers(members)
	}
	for _, n := range l.nodes {
		wg.Go(func() { n.arbiter.Run(ctx) })
	}
	return l
}

func (l *lan) locked(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func (l *lan) send(to []string, payloads [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, to := range to {
		for _, p := range payloads {
			l.sendOne(to, p)
		}
	}
}

// sendOne needs mu.
func (l *lan) sendOne(to string, payload []byte) {
	l.sent++
	l.bytes += len(payload)
	if l.cut {
		return
	}
	n := l.nodes[to]
	time.AfterFunc(ms, func() { n.arbiter.Receive(payload, "eth0", time.Now(), false) })
}

// in runs f in a bubble with a LAN, and ends the arbiters after it.
func in(t *testing.T, names []string, f func(t *testing.T, l *lan)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		f(t, newLAN(ctx, &wg, names...))
		cancel()
		wg.Wait()
		time.Sleep(10 * ms) // what is under way arrives
	})
}

func unitOf(i int, s State) UnitView {
	u := UnitView{
		Name: "VI_1", State: s, Since: time.Now(), Eligible: true,
		Priority: uint8(200 - i), Primary: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}),
		VIPs: []netip.Addr{addr("192.0.2.100")}, AdvertInterval: time.Second,
	}
	if s == Master {
		u.Tenure = Tenure{Seq: 1, Priority: u.Priority, Primary: u.Primary}
	}
	return u
}

func TestArbitersTellEachOtherAndHold(t *testing.T) {
	in(t, []string{"n1", "n2", "n3"}, func(t *testing.T, l *lan) {
		l.nodes["n1"].arbiter.SetUnits([]UnitView{unitOf(1, Master)})
		l.nodes["n2"].arbiter.SetUnits([]UnitView{unitOf(2, Backup)})
		l.nodes["n3"].arbiter.SetUnits([]UnitView{unitOf(3, Backup)})
		l.nodes["n1"].arbiter.SetFacts([]byte("revision 7"))
		time.Sleep(3 * time.Second)
		synctest.Wait()
		l.locked(func() {
			n2 := l.nodes["n2"]
			i := slices.IndexFunc(n2.verdicts, func(v UnitVerdict) bool { _, ok := v.Verdict.(Hold); return ok })
			if i < 0 {
				t.Fatalf("n2 was told %v, want a Hold", n2.verdicts)
			}
			m := n2.view.Members[0]
			if m.Name != "n1" || string(m.Facts) != "revision 7" || !m.TwoWay || m.RTT != 2*ms || len(m.Claims) != 1 {
				t.Errorf("n2 knows of n1: %+v; want facts, two-way contact, 2 ms and one claim", m)
			}
			for _, from := range []string{"n1", "n2", "n3"} {
				for _, to := range []string{"n1", "n2", "n3"} {
					if from != to && !slices.ContainsFunc(n2.view.Reach, func(r Reach) bool {
						return r.From == from && r.To == to && r.Channel == ChannelMesh
					}) {
						t.Errorf("n2 does not know that %s hears %s", to, from)
					}
				}
			}
			for _, n := range l.nodes {
				if len(n.alerts) > 0 {
					t.Errorf("%s raised %+v", n.name, n.alerts)
				}
			}
		})
	})
}

func TestArbiterSendsFiveTimesASecondInTheSteadyState(t *testing.T) {
	in(t, []string{"n1", "n2"}, func(t *testing.T, l *lan) {
		l.nodes["n1"].arbiter.SetUnits([]UnitView{unitOf(1, Master)})
		l.nodes["n2"].arbiter.SetUnits([]UnitView{unitOf(2, Backup)})
		time.Sleep(3 * time.Second)
		var before int
		l.locked(func() { before = l.sent })
		time.Sleep(10 * time.Second)
		l.locked(func() {
			if n := l.sent - before; n < 98 || n > 102 {
				t.Errorf("%d datagrams in 10 s from two nodes, want 100", n)
			}
		})
	})
}

func TestAStormOfChangesIsSpacedOut(t *testing.T) {
	in(t, []string{"n1", "n2"}, func(t *testing.T, l *lan) {
		for i := range 5000 {
			u := unitOf(1, Backup)
			u.Priority = uint8(i%200 + 1)
			l.nodes["n1"].arbiter.SetUnits([]UnitView{u})
			time.Sleep(200 * time.Microsecond)
		}
		l.locked(func() {
			// In one second: a burst of 8, one each 20 ms, and those of n2.
			if l.sent > 8+50+15 {
				t.Errorf("%d datagrams in a second of changes", l.sent)
			}
		})
	})
}

func TestLeaveSaysGoodbyeAndRaisesNoAlert(t *testing.T) {
	in(t, []string{"n1", "n2"}, func(t *testing.T, l *lan) {
		time.Sleep(2 * time.Second)
		if err := l.nodes["n1"].arbiter.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		l.locked(func() {
			n2 := l.nodes["n2"]
			if !n2.view.Members[0].Leaving {
				t.Error("n2 does not know that n1 left")
			}
			if len(n2.alerts) > 0 {
				t.Errorf("n2 raised %+v", n2.alerts)
			}
		})
	})
}

func TestLeaveEndsWithItsContext(t *testing.T) {
	a := New(Options{Node: "n1", Boot: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Leave(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Leave = %v, want %v", err, context.Canceled)
	}
}

func TestReceiveRefusesWhatIsNoRecord(t *testing.T) {
	a := New(Options{Node: "n1", Boot: 1})
	if err := a.Receive([]byte("GET / HTTP/1.1"), "eth0", time.Now(), false); !errors.Is(err, ErrNotRecord) {
		t.Errorf("Receive = %v, want %v", err, ErrNotRecord)
	}
}

func TestStrangerOnOurVirtualRouterIsReported(t *testing.T) {
	stranger := addr("192.0.2.66")
	tests := []struct {
		name   string
		change func(*UnitView)
		ev     *AdvertEvidence
		want   int
	}{
		{"one whose adverts were accepted", func(u *UnitView) {
			u.Heard = Advert{From: stranger, Priority: 90, At: time.Now()}
		}, nil, 1},
		{"one whose adverts were refused", nil, &AdvertEvidence{From: stranger, Refused: "addresses differ", VIPs: []netip.Addr{addr("192.0.2.7")}}, 1},
		{"one that is allowed", func(u *UnitView) {
			u.Heard = Advert{From: stranger, Priority: 90, At: time.Now()}
			u.AllowForeign = []netip.Prefix{netip.MustParsePrefix("192.0.2.66/32")}
		}, nil, 0},
		{"a member", func(u *UnitView) {
			u.Heard = Advert{From: addr("192.0.2.2"), Priority: 198, At: time.Now()}
		}, nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in(t, []string{"n1", "n2"}, func(t *testing.T, l *lan) {
				n1 := l.nodes["n1"]
				n1.arbiter.SetUnits([]UnitView{unitOf(1, Backup)})
				l.nodes["n2"].arbiter.SetUnits([]UnitView{unitOf(2, Backup)})
				time.Sleep(2 * time.Second)
				u := unitOf(1, Backup)
				if tt.change != nil {
					tt.change(&u)
				}
				n1.arbiter.SetUnits([]UnitView{u})
				if tt.ev != nil {
					tt.ev.Unit, tt.ev.At = "VI_1", time.Now()
					n1.arbiter.Observe(*tt.ev)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				l.locked(func() {
					var n int
					for _, a := range n1.alerts {
						if a.Kind == ForeignMaster && a.Peer == stranger.String() && !a.Resolved {
							n++
						}
					}
					if n != tt.want {
						t.Errorf("alerts %+v, want %d of foreign_master", n1.alerts, tt.want)
					}
				})
				time.Sleep(15 * time.Second)
				synctest.Wait()
				l.locked(func() {
					if tt.want > 0 && !n1.alerts[len(n1.alerts)-1].Resolved {
						t.Errorf("alerts %+v; the last one is not over", n1.alerts)
					}
				})
			})
		})
	}
}

// BenchmarkSecondOfFiveNodes is what five nodes with 255 units do in a second:
// five heartbeats each, encoded once, decoded and judged by the four others.
func BenchmarkSecondOfFiveNodes(b *testing.B) {
	var units [5][]UnitView
	for n := range units {
		for i := range 255 {
			u := unitOf(n+1, Backup)
			u.Name = fmt.Sprintf("VI_%d", i+1)
			u.VIPs = []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(i), 100})}
			u.Heard = Advert{From: addr("192.0.2.1"), Priority: 199, At: t0}
			if i%5 == n {
				u.State, u.Tenure = Master, Tenure{Seq: 1, Priority: u.Priority, Primary: u.Primary}
			}
			units[n] = append(units[n], u)
		}
	}
	clock := t0
	var cores [5]*Core
	for n := range cores {
		cores[n] = NewCore(fmt.Sprintf("n%d", n+1), BootID(n+1), 9, 200*ms, clock)
		var members []Member
		for m := range cores {
			members = append(members, Member{Name: fmt.Sprintf("n%d", m+1)})
		}
		cores[n].SetMembers(members)
		cores[n].SetUnits(units[n])
	}
	beat := func() {
		clock = clock.Add(200 * ms)
		for n := range cores {
			cores[n].urgent = true // also when it has just answered
			out := step(cores[n], clock)
			parts, err := Encode(out.Record)
			if err != nil {
				b.Fatal(err)
			}
			for m := range cores {
				if m == n {
					continue
				}
				for _, p := range parts {
					d, err := Decode(p)
					if err != nil {
						b.Fatal(err)
					}
					cores[m].Receive(clock, &d, "eth0")
					step(cores[m], clock)
				}
			}
			if clock.Sub(t0)%time.Second == 0 {
				cores[n].View(clock, instant(clock))
			}
		}
	}
	for range 25 {
		beat() // until all is known
	}
	for b.Loop() {
		for range 5 {
			beat()
		}
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(len(cores))/float64(time.Second)*100, "%core/node")
}
