package mesh

import (
	"bytes"
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

	"github.com/hacluster/hacluster/cluster/mesh/clustertest"
)

var (
	key1 = bytes.Repeat([]byte{1}, KeySize)
	key2 = bytes.Repeat([]byte{2}, KeySize)
)

// node is one member in a test: a mesh on hosts of its own. Gossip and
// heartbeats have different hosts, NAME and NAME-hb, so that a test can cut
// one channel and leave the other.
type node struct {
	*Mesh
	t      *testing.T
	member Member
	stop   context.CancelFunc
	ended  chan error
	log    *lines

	mu        sync.Mutex
	got       []string
	conflicts []string
}

// lines collects what is logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func addr(pattern string, i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf(pattern, i)) }

// newNode makes node number i; start runs it.
func newNode(t *testing.T, lan *clustertest.LAN, i int, gossip, heartbeat string, edit ...func(*Options)) *node {
	t.Helper()
	name := fmt.Sprintf("n%d", i)
	n := &node{t: t, ended: make(chan error, 1), log: &lines{}, member: Member{
		Name:           name,
		GossipAddr:     netip.AddrPortFrom(addr(gossip, i), GossipPort),
		HeartbeatAddrs: []netip.AddrPort{netip.AddrPortFrom(addr(heartbeat, i), HeartbeatPort)},
	}}
	hosts := map[netip.AddrPort]*clustertest.Host{
		n.member.GossipAddr:        lan.Host(name, n.member.GossipAddr.Addr()),
		n.member.HeartbeatAddrs[0]: lan.Host(name+"-hb", n.member.HeartbeatAddrs[0].Addr()),
	}
	o := Options{
		Name: name, ClusterID: "c1", Keys: [][]byte{key1}, Meta: []byte("meta of " + name),
		Advertise: n.member.GossipAddr, GossipListen: n.member.GossipAddr, HeartbeatListen: n.member.HeartbeatAddrs[0],
		Streams:      hosts[n.member.GossipAddr].Streams(),
		ListenPacket: func(a netip.AddrPort) (PacketConn, error) { return hosts[a].ListenPacket(a) },
		Receive: func(r Receipt) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.got = append(n.got, fmt.Sprintf("%s on %s from %v", r.Payload, r.Path, r.From.Addr()))
		},
		Conflict: func(name string, known, other netip.AddrPort) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.conflicts = append(n.conflicts, fmt.Sprintf("%s %v %v", name, known.Addr(), other.Addr()))
		},
		Logger: slog.New(slog.NewTextHandler(n.log, &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
	for _, e := range edit {
		e(&o)
	}
	m, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	n.Mesh = m
	return n
}

// start runs a node until the test ends or stop is called.
func (n *node) start() {
	ctx, cancel := context.WithCancel(n.t.Context())
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-n.ended; err != nil {
			n.t.Errorf("%s: Run: %v", n.member.Name, err)
		}
	})
	go func() { n.ended <- n.Run(ctx) }()
	n.t.Cleanup(func() {
		n.stop()
		time.Sleep(2 * streamTimeout) // memberlist's last probe; time ends with the test
	})
}

// received returns what came in since the last call.
func (n *node) received() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	got := n.got
	n.got = nil
	return got
}

// states prints what a node thinks of the others.
func (n *node) states() string {
	var s []string
	for _, m := range n.Members() {
		s = append(s, m.Name+" "+m.State.String())
	}
	return strings.Join(s, ", ")
}

const (
	gossip4    = "192.0.2.%d"
	heartbeat4 = "198.51.100.%d"
)

// meshOf starts members 1 to count, which know each other, and waits until all
// are alive.
func meshOf(t *testing.T, lan *clustertest.LAN, count int, gossip, heartbeat string, edit ...func(*Options)) []*node {
	t.Helper()
	var nodes []*node
	for i := range count {
		nodes = append(nodes, newNode(t, lan, i+1, gossip, heartbeat, edit...))
	}
	acquaint(nodes)
	for _, n := range nodes {
		n.start()
	}
	for _, n := range nodes {
		within(t, 5*time.Second, n.allAlive)
	}
	return nodes
}

func acquaint(nodes []*node) {
	var members []Member
	for _, n := range nodes {
		members = append(members, n.member)
	}
	for _, n := range nodes {
		n.SetMembers(members)
	}
}

func (n *node) allAlive() bool {
	return !slices.ContainsFunc(n.Members(), func(m MemberState) bool { return m.State != Alive })
}

// within waits in virtual time until ok, and fails the test when that takes
// longer than limit.
func within(t *testing.T, limit time.Duration, ok func() bool) {
	t.Helper()
	start := time.Now()
	for !ok() {
		if time.Since(start) > limit {
			t.Fatalf("not after %v", limit)
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
	}
}

func TestMembersFindEachOther(t *testing.T) {
	for _, tt := range []struct{ name, gossip, heartbeat string }{
		{"over IPv4", gossip4, heartbeat4},
		{"over IPv6", "2001:db8::%d", "2001:db8:1::%d"},
		{"gossip over IPv6, heartbeats over IPv4", "2001:db8::%d", heartbeat4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nodes := meshOf(t, clustertest.NewLAN(1), 3, tt.gossip, tt.heartbeat)
				time.Sleep(time.Minute)
				for _, n := range nodes {
					for _, m := range n.Members() {
						if m.State != Alive || string(m.Meta) != "meta of "+m.Name || m.RTT <= 0 || m.Since.IsZero() {
							t.Errorf("%s sees %+v", n.member.Name, m)
						}
					}
				}
				if err := nodes[0].Send([]string{"n2"}, []byte("hello")); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Second)
				want := []string{fmt.Sprintf("hello on lan0 from %v", nodes[0].member.HeartbeatAddrs[0].Addr())}
				if got := nodes[1].received(); !slices.Equal(got, want) {
					t.Errorf("n2 received %q, want %q", got, want)
				}
			})
		})
	}
}

func TestPartitionHealsHoweverLongItWas(t *testing.T) {
	for _, cut := range []time.Duration{5 * time.Second, 45 * time.Second, 10 * time.Minute} {
		t.Run(cut.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lan := clustertest.NewLAN(1)
				nodes := meshOf(t, lan, 4, gossip4, heartbeat4)
				lan.Partition([]string{"n1", "n2"}, []string{"n3", "n4"})
				time.Sleep(cut)
				if got := nodes[0].states(); got != "n2 alive, n3 dead, n4 dead" {
					t.Errorf("in the partition n1 sees %s", got)
				}
				lan.Heal()
				for _, n := range nodes {
					within(t, 5*time.Second, n.allAlive)
				}
			})
		})
	}
}

func TestSilentDeathIsKnownWithinTwoSeconds(t *testing.T) {
	for _, count := range []int{2, 3, 5} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nodes := meshOf(t, clustertest.NewLAN(1), count, gossip4, heartbeat4)
				nodes[1].stop()
				within(t, 2*time.Second, func() bool { return nodes[0].Members()[0].State == Dead })
				if log := nodes[0].log.String(); !strings.Contains(log, `msg="member is dead" node=n2`) {
					t.Errorf("log:\n%s", log)
				}
			})
		})
	}
}

func TestWhoLeavesIsLeftAndNotDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := meshOf(t, clustertest.NewLAN(1), 3, gossip4, heartbeat4)
		changed := nodes[0].Changed()
		if err := nodes[1].Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		within(t, time.Second, func() bool { return nodes[0].Members()[0].State == Left })
		select {
		case <-changed:
		default:
			t.Error("Changed was not told")
		}
		time.Sleep(time.Minute)
		if got := nodes[2].states(); got != "n1 alive, n2 left" {
			t.Errorf("a minute later n3 sees %s", got)
		}
	})
}

func TestMemberThatComesBackIsAliveAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := clustertest.NewLAN(1)
		var hosts [2]*clustertest.Host
		nodes := []*node{newNode(t, lan, 1, gossip4, heartbeat4)}
		// Node 2 has two lives on the same hosts.
		hosts[0], hosts[1] = lan.Host("n2", addr(gossip4, 2)), lan.Host("n2-hb", addr(heartbeat4, 2))
		life := func() *node {
			n := newNode(t, clustertest.NewLAN(1), 2, gossip4, heartbeat4, func(o *Options) {
				o.Streams = hosts[0].Streams()
				o.ListenPacket = func(a netip.AddrPort) (PacketConn, error) {
					if a.Port() == GossipPort {
						return hosts[0].ListenPacket(a)
					}
					return hosts[1].ListenPacket(a)
				}
			})
			acquaint([]*node{nodes[0], n})
			n.start()
			return n
		}
		nodes[0].start()
		for range 3 {
			n := life()
			within(t, 5*time.Second, nodes[0].allAlive)
			within(t, 5*time.Second, n.allAlive)
			n.stop()
			within(t, 2*time.Second, func() bool { return nodes[0].Members()[0].State == Dead })
			time.Sleep(40 * time.Second)
		}
	})
}

// S47: after a long partition gossip needs seconds, and heartbeats need none.
func TestHeartbeatsGoToAMemberThatGossipThinksDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := clustertest.NewLAN(1)
		nodes := meshOf(t, lan, 2, gossip4, heartbeat4)
		lan.Partition([]string{"n1"}, []string{"n2"})
		time.Sleep(time.Minute)
		if got := nodes[0].states(); got != "n2 dead" {
			t.Fatalf("n1 sees %s", got)
		}
		if err := nodes[0].Send([]string{"n2"}, []byte("still here")); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if got := nodes[1].received(); len(got) != 1 {
			t.Errorf("n2 received %q", got)
		}
	})
}

func TestHeartbeatTakesEveryPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := clustertest.NewLAN(1)
		nodes := meshOf(t, lan, 2, gossip4, heartbeat4)
		two := nodes[1].member
		two.HeartbeatAddrs = append([]netip.AddrPort{netip.MustParseAddrPort("203.0.113.9:7113")}, two.HeartbeatAddrs...)
		nodes[0].SetMembers([]Member{two})
		if err := nodes[0].Send([]string{"n2"}, []byte("x")); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if got := nodes[1].received(); len(got) != 1 {
			t.Errorf("n2 received %q", got)
		}
		if got := nodes[0].Stats(); got.Sent != 2 {
			t.Errorf("stats = %+v, want 2 sent", got)
		}
	})
}

func TestATrialShowsWhoseHeartbeatsArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := clustertest.NewLAN(1)
		nodes := meshOf(t, lan, 3, gossip4, heartbeat4)
		for _, from := range []int{0, 2} {
			if err := nodes[from].Try(7, []string{"n2"}); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Second)
		if got := nodes[1].Tried(7); !slices.Equal(got, []string{"n1", "n3"}) {
			t.Errorf("n2 was tried by %q, want n1 and n3", got)
		}
		if got := nodes[1].received(); len(got) != 0 {
			t.Errorf("n2 took %q for heartbeats", got)
		}
		for id := range uint64(trialsKept) {
			if err := nodes[0].Try(100+id, []string{"n2"}); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Second)
		if old, newest := nodes[1].Tried(7), nodes[1].Tried(100+trialsKept-1); len(old) != 0 || len(newest) != 1 {
			t.Errorf("of the first trial %q is kept and of the last %q, want the last only", old, newest)
		}
	})
}

func TestStrangersAreDroppedAndCounted(t *testing.T) {
	tests := []struct {
		name string
		edit func(*Options) // of the stranger, which calls itself n2
	}{
		{"with another key", func(o *Options) { o.Keys = [][]byte{key2} }},
		{"of another cluster", func(o *Options) { o.ClusterID = "c2" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lan := clustertest.NewLAN(1)
				nodes := []*node{newNode(t, lan, 1, gossip4, heartbeat4), newNode(t, lan, 2, gossip4, heartbeat4, tt.edit)}
				acquaint(nodes)
				for _, n := range nodes {
					n.start()
				}
				synctest.Wait()
				for range 10 {
					if err := nodes[1].Send([]string{"n1"}, []byte("let me in")); err != nil {
						t.Error(err)
					}
				}
				time.Sleep(time.Minute)
				if got := nodes[0].received(); len(got) != 0 {
					t.Errorf("n1 received %q", got)
				}
				if got := nodes[0].Stats(); got.Rejected != 10 || got.Received != 0 {
					t.Errorf("stats = %+v, want 10 rejected", got)
				}
				if got := nodes[0].states(); got != "n2 unknown" {
					t.Errorf("n1 sees %s", got)
				}
			})
		})
	}
}

func TestOnlyConfiguredNodesBecomeMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := clustertest.NewLAN(1)
		nodes := meshOf(t, lan, 2, gossip4, heartbeat4)
		third := newNode(t, lan, 3, gossip4, heartbeat4)
		third.SetMembers([]Member{nodes[0].member}) // has the key, knows n1
		third.start()
		time.Sleep(time.Minute)
		if got := nodes[0].states(); got != "n2 alive" {
			t.Errorf("n1 sees %s", got)
		}
		acquaint(append(nodes, third)) // now it is one
		for _, n := range append(nodes, third) {
			within(t, 5*time.Second, n.allAlive)
		}
		acquaint(nodes) // and now no more
		if got := nodes[0].states(); got != "n2 alive" {
			t.Errorf("n1 sees %s", got)
		}
		if err := nodes[0].Send([]string{"n3"}, nil); !errors.Is(err, ErrUnknownMember) {
			t.Errorf("Send = %v, want %v", err, ErrUnknownMember)
		}
	})
}

// S72: heartbeats carry leases, so no step of a rotation may cut one.
func TestKeysRotateWithoutAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := meshOf(t, clustertest.NewLAN(1), 3, gossip4, heartbeat4)
		for _, ring := range [][][]byte{{key1, key2}, {key2, key1}, {key2}} {
			for _, n := range nodes {
				if err := n.SetKeys(ring); err != nil {
					t.Fatal(err)
				}
				time.Sleep(3 * time.Second)
				for _, from := range nodes {
					for _, to := range nodes {
						if from != to {
							if err := from.Send([]string{to.member.Name}, []byte("x")); err != nil {
								t.Error(err)
							}
						}
					}
				}
			}
		}
		time.Sleep(time.Minute)
		for _, n := range nodes {
			if got := n.Stats(); got.Received != 18 || got.Rejected != 0 {
				t.Errorf("%s: stats = %+v, want 18 received", n.member.Name, got)
			}
			if log := n.log.String(); strings.Contains(log, "dead") || strings.Contains(log, "gossip") {
				t.Errorf("%s: log:\n%s", n.member.Name, log)
			}
		}
	})
}

func TestDirectSilenceIsSuspectWhileOthersVouch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := clustertest.NewLAN(1)
		nodes := meshOf(t, lan, 3, gossip4, heartbeat4)
		lan.Partition([]string{"n1"}, []string{"n2"})
		within(t, 5*time.Second, func() bool { return nodes[0].states() == "n2 suspect, n3 alive" })
		lan.Heal()
		within(t, 5*time.Second, nodes[0].allAlive)
	})
}

func TestSecondNodeWithAMembersNameIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := clustertest.NewLAN(1)
		nodes := meshOf(t, lan, 2, gossip4, heartbeat4)
		clone := newNode(t, lan, 9, gossip4, heartbeat4, func(o *Options) { o.Name = "n2" })
		clone.SetMembers([]Member{nodes[0].member})
		clone.start()
		time.Sleep(5 * time.Second)
		nodes[0].mu.Lock()
		defer nodes[0].mu.Unlock()
		if !slices.Contains(nodes[0].conflicts, "n2 192.0.2.2 192.0.2.9") {
			t.Errorf("conflicts = %q", nodes[0].conflicts)
		}
	})
}

func TestMetaIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := meshOf(t, clustertest.NewLAN(1), 2, gossip4, heartbeat4)
		if err := nodes[1].SetMeta([]byte("new")); err != nil {
			t.Fatal(err)
		}
		within(t, time.Second, func() bool { return string(nodes[0].Members()[0].Meta) == "new" })
		if err := nodes[1].SetMeta(make([]byte, MaxMeta)); err != nil {
			t.Error(err)
		}
		if err := nodes[1].SetMeta(make([]byte, MaxMeta+1)); err == nil {
			t.Error("SetMeta took 513 bytes")
		}
	})
}

func TestLossyNetworkKillsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := clustertest.NewLAN(1)
		nodes := meshOf(t, lan, 3, gossip4, heartbeat4)
		lan.Loss(0.1)
		time.Sleep(2 * time.Minute)
		for _, n := range nodes {
			if log := n.log.String(); strings.Contains(log, "member is dead") {
				t.Errorf("%s: log:\n%s", n.member.Name, log)
			}
		}
	})
}

func TestSendSaysWhatIsWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := meshOf(t, clustertest.NewLAN(1), 2, gossip4, heartbeat4)
		if err := nodes[0].Send([]string{"n2"}, make([]byte, MaxPayload)); err != nil {
			t.Errorf("Send of %d bytes: %v", MaxPayload, err)
		}
		if err := nodes[0].Send([]string{"n2"}, make([]byte, MaxPayload+1)); !errors.Is(err, ErrTooLong) {
			t.Errorf("Send of one more: %v, want %v", err, ErrTooLong)
		}
		if err := nodes[0].Send([]string{"n7"}, nil); !errors.Is(err, ErrUnknownMember) {
			t.Errorf("Send to n7: %v, want %v", err, ErrUnknownMember)
		}
		if err := nodes[0].Send([]string{"n7", "n2"}, []byte("x")); !errors.Is(err, ErrUnknownMember) {
			t.Errorf("Send to n7 and n2: %v, want %v", err, ErrUnknownMember)
		}
		time.Sleep(time.Second)
		if got := nodes[1].Stats(); got.Received != 2 {
			t.Errorf("stats = %+v, want 2 received: a member that is unknown keeps nothing from the others", got)
		}
		nodes[0].stop()
		if err := nodes[0].Send([]string{"n2"}, nil); !errors.Is(err, ErrStopped) {
			t.Errorf("Send after the end: %v, want %v", err, ErrStopped)
		}
	})
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	valid := Options{Name: "n1", ClusterID: "c1", Keys: [][]byte{key1},
		Advertise: netip.MustParseAddrPort("192.0.2.1:7112"),
		Streams:   clustertest.NewLAN(1).Host("n1", netip.MustParseAddr("192.0.2.1")).Streams()}
	tests := []struct {
		name  string
		edit  func(*Options)
		wants string
	}{
		{"no name", func(o *Options) { o.Name = "" }, "no name"},
		{"no cluster", func(o *Options) { o.ClusterID = "" }, "use 1 to 255"},
		{"no key", func(o *Options) { o.Keys = nil }, "no key"},
		{"short key", func(o *Options) { o.Keys = [][]byte{key1[:16]} }, "16 bytes, not 32"},
		{"key twice", func(o *Options) { o.Keys = [][]byte{key1, key1} }, "given twice"},
		{"long meta", func(o *Options) { o.Meta = make([]byte, 513) }, "at most 512"},
		{"unspecified address", func(o *Options) { o.Advertise = netip.MustParseAddrPort("[::]:7112") }, "cannot advertise"},
		{"no streams", func(o *Options) { o.Streams = nil }, "no layer for streams"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := valid
			tt.edit(&o)
			if _, err := New(o); err == nil || !strings.Contains(err.Error(), tt.wants) {
				t.Errorf("New: %v, want %q", err, tt.wants)
			}
		})
	}
}
