package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
)

// testTiming bears a machine that is busy with other tests: what waits half a second
// for a processor is no reason to change the leader.
var testTiming = store.Timing{
	Heartbeat: time.Second, Election: time.Second, Lease: 800 * time.Millisecond,
	DiskStall: 10 * time.Second,
}

// node is a daemon's cluster part on a loopback address of its own.
type node struct {
	*Cluster
	t     testing.TB
	o     Options
	ended chan error
	stop  context.CancelFunc
}

func newNode(t testing.TB, name string) *node {
	t.Helper()
	n := &node{t: t, o: Options{
		DataDir: filepath.Join(t.TempDir(), name), Name: name, Version: "test",
		Listen: freeAddr(t).String(), Timing: testTiming, Logger: slog.New(slog.DiscardHandler),
	}}
	if testing.Verbose() {
		n.o.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("on", name)
	}
	n.o.Advertise = netip.MustParseAddrPort(n.o.Listen)
	n.start()
	t.Cleanup(n.end)
	return n
}

// hosts counts the loopback addresses that were given out.
var hosts atomic.Uint32

// freeAddr returns an address of the loopback network that nothing listens on: one
// for this process and call, so that UDP has the same port free and the next one.
func freeAddr(t testing.TB) net.Addr {
	t.Helper()
	pid := os.Getpid()
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+pid>>8&0x7f, pid&0xff, 1+hosts.Add(1)%254))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr()
}

func (n *node) start() {
	n.t.Helper()
	c, err := Open(n.o)
	if err != nil {
		n.t.Fatal(err)
	}
	n.Cluster = c
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	n.stop, n.ended = cancel, ended
}

// end stops the node; a second time does nothing.
func (n *node) end() {
	n.stop()
	if n.ended == nil {
		return
	}
	if err := <-n.ended; err != nil {
		n.t.Errorf("%s: Run = %v", n.o.Name, err)
	}
	n.ended = nil
}

func (n *node) initCluster(text string) {
	n.t.Helper()
	if _, err := n.Init(n.t.Context(), InitOptions{ClusterName: "edge", Text: text, Author: "root"}); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) token(o TokenOptions) string {
	n.t.Helper()
	text, _, _, err := n.CreateToken(n.t.Context(), o)
	if err != nil {
		n.t.Fatal(err)
	}
	return text
}

// threeNodes returns a cluster of a, b and c; a was the first.
func threeNodes(t testing.TB) []*node {
	t.Helper()
	a := newNode(t, "a")
	a.initCluster("global_defs { }\n")
	nodes := []*node{a}
	for _, name := range []string{"b", "c"} {
		n := newNode(t, name)
		if err := n.Join(t.Context(), JoinOptions{Token: a.token(TokenOptions{})}); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// leaderOf waits until the nodes agree on a leader among them.
func leaderOf(t testing.TB, nodes ...*node) (leader *node, others []*node) {
	t.Helper()
	for range 600 {
		for i, n := range nodes {
			agreed := true
			for _, o := range nodes {
				agreed = agreed && o.Status().Leader == n.o.Name
			}
			if agreed {
				others = append(append(others, nodes[:i]...), nodes[i+1:]...)
				return n, others
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("no common leader within 30s")
	return nil, nil
}

func TestThreeNodesShareOneConfiguration(t *testing.T) {
	t.Parallel()
	nodes := threeNodes(t)
	ctx := t.Context()
	leader, followers := leaderOf(t, nodes...)

	rev, err := followers[0].Propose(ctx, store.Proposal{Base: 1, Text: "vrrp_instance VI_1 { }\n", Author: "ann"})
	if err != nil || rev.Number != 2 {
		t.Fatalf("Propose on a follower = revision %d, %v, want 2", rev.Number, err)
	}
	for _, n := range nodes {
		if err := n.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		if got, err := n.Revisions().Latest(); err != nil || got.Hash != rev.Hash {
			t.Errorf("%s: Latest = %d %v, %v, want %v", n.o.Name, got.Number, got.Hash, err, rev.Hash)
		}
		var names []string
		for _, m := range n.Members() {
			names = append(names, fmt.Sprintf("%s %s %v", m.Name, m.Role, m.Joined))
		}
		if got := strings.Join(names, ", "); got != "a voter true, b voter true, c voter true" {
			t.Errorf("%s: members %s", n.o.Name, got)
		}
	}

	// The leader dies; what it acknowledged is still there, and a new leader takes
	// proposals.
	leader.end()
	if _, err := followers[1].Propose(ctx, store.Proposal{Base: 2, Text: "third\n"}); err != nil {
		t.Fatal(err)
	}
	if got, err := followers[0].Revisions().Get(2); err != nil || got.Hash != rev.Hash {
		t.Errorf("revision 2 after the leader's death = %v, %v", got.Hash, err)
	}

	// It comes back from its disk.
	leader.start()
	if err := leader.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	if got, err := leader.Revisions().Latest(); err != nil || got.Number != 3 {
		t.Errorf("Latest on the returned node = %d, %v, want 3", got.Number, err)
	}
}

func TestWithoutMajorityTheErrorNamesTheMissingVoters(t *testing.T) {
	t.Parallel()
	nodes := threeNodes(t)
	nodes[1].end()
	nodes[2].end()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	err := nodes[0].Sync(ctx)
	lost, ok := errors.AsType[*NoMajorityError](err)
	if !ok || len(lost.Voters) != 3 || !errors.Is(err, store.ErrNoLeader) {
		t.Fatalf("Sync = %v, want a NoMajorityError with three voters", err)
	}
	for _, want := range []string{"a answers", "b last seen", "c last seen", "virtual addresses go on"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
	if _, err := nodes[0].Revisions().Latest(); err != nil {
		t.Errorf("the local copy cannot be read without a majority: %v", err)
	}
}

func mustAddr(addr net.Addr) netip.AddrPort { return netip.MustParseAddrPort(addr.String()) }
