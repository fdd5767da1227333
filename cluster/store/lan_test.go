package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// lan is a cluster of stores in memory, whose links can be cut.
type lan struct {
	t     *testing.T
	nodes []*lanNode

	mu  sync.Mutex
	cut map[[2]string]bool // from, to
}

type lanNode struct {
	*Store
	id        string
	lan       *lan
	transport *raft.InmemTransport
	logs      *raft.InmemStore
	snapshots *raft.InmemSnapshotStore
	opened    atomic.Int32 // how often
}

// newLAN makes a cluster of n voters named a, b, c… It is for synctest bubbles.
func newLAN(t *testing.T, n int, change func(*Options, *parts)) *lan {
	t.Helper()
	l := &lan{t: t, cut: make(map[[2]string]bool)}
	for i := range n {
		l.start(string(rune('a'+i)), raft.NewInmemStore(), change)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := l.nodes[0].Bootstrap(ctx); err != nil {
		t.Fatal(err)
	}
	for _, node := range l.nodes[1:] {
		if err := l.nodes[0].AddServer(ctx, Server{ID: node.id, Addr: node.id, Voter: true}); err != nil {
			t.Fatal(err)
		}
	}
	// A majority has the last change; a test that cuts links needs it everywhere.
	for _, node := range l.nodes {
		for {
			if servers, err := node.Servers(); err != nil || ctx.Err() != nil {
				t.Fatalf("%s knows %d servers, %v", node.id, len(servers), err)
			} else if len(servers) == n {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	return l
}

func (l *lan) start(id string, logs *raft.InmemStore, change func(*Options, *parts)) *lanNode {
	l.t.Helper()
	_, transport := raft.NewInmemTransportWithTimeout(raft.ServerAddress(id), 50*time.Millisecond)
	node := &lanNode{id: id, lan: l, transport: transport, logs: logs, snapshots: raft.NewInmemSnapshotStore()}
	o := Options{
		Server: Server{ID: id, Addr: id}, Forward: forwarder{node}, Logger: slog.New(slog.DiscardHandler),
	}
	p := &parts{
		transport: transport, logs: logs, stable: logs, snapshots: node.snapshots,
		close: func() error { return nil },
	}
	o.open = func(Options) (*parts, error) { // the same at each opening
		node.opened.Add(1)
		return p, nil
	}
	if change != nil {
		change(&o, p)
	}
	s, err := Open(o)
	if err != nil {
		l.t.Fatal(err)
	}
	node.Store = s
	for _, other := range l.nodes {
		other.transport.Connect(raft.ServerAddress(id), transport)
		transport.Connect(raft.ServerAddress(other.id), other.transport)
	}
	l.nodes = append(l.nodes, node)
	return node
}

func (l *lan) close() {
	for _, node := range l.nodes {
		if err := node.Close(); err != nil && !errors.Is(err, ErrDiskStalled) {
			l.t.Errorf("close %s: %v", node.id, err)
		}
		node.transport.DisconnectAll()
	}
}

// isolate cuts a node off, both ways; heal ends all cuts.
func (l *lan) isolate(node *lanNode) {
	for _, other := range l.nodes {
		if other != node {
			l.setCut(node, other, true)
		}
	}
}

func (l *lan) heal() {
	for _, a := range l.nodes {
		for _, b := range l.nodes {
			if a != b {
				l.setCut(a, b, false)
			}
		}
	}
}

func (l *lan) setCut(a, b *lanNode, cut bool) {
	l.mu.Lock()
	l.cut[[2]string{a.id, b.id}], l.cut[[2]string{b.id, a.id}] = cut, cut
	l.mu.Unlock()
	if cut {
		a.transport.Disconnect(raft.ServerAddress(b.id))
		b.transport.Disconnect(raft.ServerAddress(a.id))
		return
	}
	a.transport.Connect(raft.ServerAddress(b.id), b.transport)
	b.transport.Connect(raft.ServerAddress(a.id), a.transport)
}

// leader waits for the node that leads and is not excluded.
func (l *lan) leader(except ...*lanNode) *lanNode {
	l.t.Helper()
	for range 500 {
		for _, node := range l.nodes {
			skip := false
			for _, e := range except {
				skip = skip || e == node
			}
			if !skip && node.Leads() {
				return node
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	l.t.Fatal("no leader within 5s")
	return nil
}

func (l *lan) follower() *lanNode {
	leader := l.leader()
	for _, node := range l.nodes {
		if node != leader {
			return node
		}
	}
	l.t.Fatal("no follower")
	return nil
}

// forwarder reaches other nodes of the lan over links that are not cut.
type forwarder struct{ from *lanNode }

func (f forwarder) to(leader Server) (*lanNode, error) {
	f.from.lan.mu.Lock()
	defer f.from.lan.mu.Unlock()
	if f.from.lan.cut[[2]string{f.from.id, leader.ID}] {
		return nil, fmt.Errorf("%w: %s cannot be reached", ErrNoLeader, leader.ID)
	}
	for _, node := range f.from.lan.nodes {
		if node.id == leader.ID {
			return node, nil
		}
	}
	return nil, ErrNoLeader
}

func (f forwarder) Apply(ctx context.Context, leader Server, command []byte) ([]byte, error) {
	node, err := f.to(leader)
	if err != nil {
		return nil, err
	}
	answer, err := node.ApplyEncoded(ctx, command)
	if _, cut := f.to(leader); cut != nil {
		return nil, errors.New("connection lost before the answer")
	}
	return answer, err
}

func (f forwarder) ReadIndex(ctx context.Context, leader Server) (uint64, error) {
	node, err := f.to(leader)
	if err != nil {
		return 0, err
	}
	return node.ReadIndex(ctx)
}

// within returns a context for one operation.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}
