package directors

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hacluster/hacluster/lvs/director"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/splitbrain"
)

// lan is directors that hear each other.
type lan struct {
	t     *testing.T
	names []string

	mu     sync.Mutex
	nodes  map[string]*Follower
	sees   map[string]director.Sight // of each
	silent map[string]bool           // nobody hears it, and it hears nobody
	deaf   bool                      // nobody answers questions
	told   map[string][]string       // alerts of each
	heard  map[string]map[director.ServerKey]director.Others
}

func newLAN(t *testing.T, names ...string) *lan {
	l := &lan{
		t: t, names: names, nodes: make(map[string]*Follower), sees: make(map[string]director.Sight),
		silent: make(map[string]bool), told: make(map[string][]string),
		heard: make(map[string]map[director.ServerKey]director.Others),
	}
	for _, name := range names {
		l.sees[name] = sightOf()
		l.nodes[name] = New(Options{
			Node: name, Changed: func() {},
			Look: func(_ context.Context, asked map[director.ServerKey]bool) (director.Sight, error) {
				return l.look(name, asked), nil
			},
			Peers: func() splitbrain.PeerView { return l.peers(name) },
			Ask: func(_ context.Context, node, service string, server netip.AddrPort) (string, error) {
				if l.deaf {
					return "", errors.New("no answer")
				}
				return fmt.Sprintf("%v does not serve %s to %s", server, service, node), nil
			},
			Alert: func(a observed.Alert) { l.alert(name, a) },
			Hear:  func(o map[director.ServerKey]director.Others) { l.change(func() { l.heard[name] = o }) },
		})
	}
	for _, f := range l.nodes {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- f.Run(ctx) }()
		t.Cleanup(func() { cancel(); <-ended })
	}
	return l
}

func (l *lan) look(name string, asked map[director.ServerKey]bool) director.Sight {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sees[name]
	s.Servers = slices.Clone(s.Servers)
	for n := range 3 {
		up := seen(n, director.SeesUp)
		if asked[up.Key] && !slices.ContainsFunc(s.Servers, func(s director.Seen) bool { return s.Key == up.Key }) {
			s.Servers = append(s.Servers, up)
		}
	}
	for i := range s.Servers {
		s.Servers[i].Settles, s.Servers[i].Reason = settles, "refused"
	}
	return s
}

func (l *lan) peers(name string) (p splitbrain.PeerView) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, other := range l.names {
		m := splitbrain.MemberView{Name: other, Facts: observed.Facts{Sees: l.nodes[other].Word()}.Encode(splitbrain.MaxFacts)}
		if !l.silent[name] && !l.silent[other] {
			m.At = time.Now()
		}
		if other != name {
			p.Members = append(p.Members, m)
		}
	}
	return p
}

func (l *lan) alert(name string, a observed.Alert) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := a.Node + ": " + a.Summary + "; " + strings.Join(a.Evidence, "; ")
	if !a.Resolved.IsZero() {
		text = "end of " + a.ID
	}
	l.told[name] = append(l.told[name], text)
}

// see has a director see these servers so from now on.
func (l *lan) see(name string, servers ...director.Seen) {
	l.change(func() { l.sees[name] = sightOf(servers...) })
}

func (l *lan) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func (l *lan) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// wants compares the alerts that a director has raised since the last call.
func (l *lan) wants(name string, want ...string) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := cmp.Diff(want, l.told[name]); d != "" {
		l.t.Errorf("%s raises (-want +got):\n%s", name, d)
	}
	delete(l.told, name)
}

const (
	id      = "partial_failure/web/10.0.0.1:80"
	alone   = "lb1: lb2 alone sees 10.0.0.1:80 of web down; "
	byOther = "lb2 sees it down: 10.0.0.1:80 does not serve web to lb2; "
	upBoth  = "seen up by lb1 and lb3"
)

func TestAPartialFailureIsOneAlertThatEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, "lb1", "lb2", "lb3")
		l.pass(3 * time.Minute)
		l.see("lb2", seen(1, director.SeesDown))
		l.pass(settles + travel)
		for _, name := range l.names {
			l.wants(name)
		}
		l.pass(2 * second)
		l.wants("lb1", alone+byOther+upBoth)
		l.wants("lb2", alone+"lb2 sees it down: refused; "+upBoth)
		l.wants("lb3", alone+byOther+upBoth)

		l.pass(3 * time.Minute) // it is said once
		l.see("lb2")
		l.pass(2 * second)
		for _, name := range l.names {
			l.wants(name, "end of "+id)
		}
	})
}

func TestWhatAllSeeIsNoPartialFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, "lb1", "lb2", "lb3")
		for range 20 {
			for _, o := range []director.Opinion{director.SeesDown, director.SeesUp} {
				for _, name := range l.names {
					l.see(name, seen(1, o), seen(2, o))
					l.pass(settles / 2)
				}
				l.pass(settles)
			}
		}
		for _, name := range l.names {
			l.wants(name)
		}
	})
}

func TestAnotherOneTellsWhenTheTellerIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, "lb1", "lb2", "lb3")
		l.see("lb2", seen(1, director.SeesDown))
		l.pass(settles + travel + 2*second)
		l.wants("lb3", alone+byOther+upBoth)
		l.change(func() { l.silent["lb1"] = true })
		l.pass(HeardFor + 2*second)
		l.wants("lb3", "lb3: lb2 sees 10.0.0.1:80 of web down, lb3 sees it up; "+byOther+"seen up by lb3")
	})
}

func TestADirectorThatHearsNobodyRaisesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, "lb1", "lb2")
		l.change(func() { l.silent["lb2"] = true })
		l.see("lb2", seen(1, director.SeesDown))
		l.pass(3 * time.Minute)
		l.wants("lb1")
		l.wants("lb2")
	})
}

func TestDirectorsOfOtherServersAreNotCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, "lb1", "lb2")
		l.change(func() {
			other := sightOf(seen(1, director.SeesDown))
			other.Set = 7
			l.sees["lb2"] = other
		})
		l.pass(3 * time.Minute)
		l.wants("lb1")
		l.wants("lb2")
	})
}

func TestAnAlertOpensWithoutTheAnswerOfWhoSeesItDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, "lb1", "lb2")
		l.change(func() { l.deaf = true })
		l.see("lb2", seen(1, director.SeesDown))
		l.pass(settles + 2*travel)
		l.wants("lb1") // lb2 is asked again
		l.pass(2 * second)
		l.wants("lb1", "lb1: lb2 sees 10.0.0.1:80 of web down, lb1 sees it up; lb2 sees it down: it could not be asked why: no answer; seen up by lb1")
	})
}

func TestOthersAreCountedForWhatIsSeenDownHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, "lb1", "lb2", "lb3", "lb4")
		wants := func(want director.Others) {
			t.Helper()
			l.pass(2 * second)
			l.mu.Lock()
			defer l.mu.Unlock()
			if got := l.heard["lb1"][seen(1, 0).Key]; got != want {
				t.Errorf("heard %+v, want %+v", got, want)
			}
		}
		l.see("lb2", seen(1, director.SeesDown))
		wants(director.Others{}) // it is up here
		l.see("lb1", seen(1, director.SeesDown))
		wants(director.Others{Heard: 3, Down: 1})
		l.see("lb3", seen(1, director.Unsure))
		wants(director.Others{Heard: 2, Down: 1})
		l.change(func() { l.silent["lb2"] = true })
		l.pass(HeardFor)
		wants(director.Others{Heard: 1})
		l.change(func() { l.silent["lb1"] = true })
		l.pass(HeardFor)
		wants(director.Others{})
	})
}
