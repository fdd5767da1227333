package cluster

import (
	"testing"
	"time"

	"github.com/hacluster/hacluster/cluster/mesh"
)

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 600 {
		if holds() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("not within 30s: %s", what)
}

// listen lets the node count its heartbeats.
func (n *node) listen() <-chan string {
	got := make(chan string, 16)
	n.o.Receive = func(r mesh.Receipt) {
		select {
		case got <- string(r.Payload):
		default:
		}
	}
	n.end()
	n.start()
	return got
}

func (n *node) hears(t *testing.T, from *node, payload string, got <-chan string) {
	t.Helper()
	eventually(t, from.o.Name+" is heard by "+n.o.Name, func() bool {
		if err := from.Send([]string{n.o.Name}, []byte(payload)); err != nil {
			return false
		}
		select {
		case text := <-got:
			return text == payload
		case <-time.After(100 * time.Millisecond):
			return false
		}
	})
}

func TestMeshCarriesPayloadsUnchangedAndSeesItsMembers(t *testing.T) {
	t.Parallel()
	nodes := threeNodes(t)
	got := nodes[2].listen()
	nodes[2].hears(t, nodes[0], "claim \x00\xff", got)
	eventually(t, "a sees b and c alive", func() bool {
		alive := 0
		for _, m := range nodes[0].MeshMembers() {
			if m.State == mesh.Alive {
				alive++
			}
		}
		return alive == 2
	})
}

func TestMeshRunsAfterAStartWithoutMajority(t *testing.T) {
	t.Parallel()
	nodes := threeNodes(t)
	eventually(t, "a and b have kept their members", func() bool {
		for _, n := range nodes[:2] {
			if f, err := n.dir.recall(); err != nil || len(f.Members) != 3 {
				return false
			}
		}
		return true
	})
	for _, n := range nodes {
		n.end()
	}
	nodes[0].start()
	if len(nodes[0].Members()) != 3 {
		t.Errorf("%d members known after a start alone, want 3", len(nodes[0].Members()))
	}
	eventually(t, "heartbeats leave without a majority", func() bool {
		return nodes[0].Send([]string{"b"}, []byte("here")) == nil
	})
	if s := nodes[0].Status(); s.Leader != "" || s.Applied != 0 {
		t.Errorf("leader %q, applied %d: there was a majority after all", s.Leader, s.Applied)
	}
}
