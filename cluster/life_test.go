package cluster

import (
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
)

func TestCertificatesAreRenewedForTheSameKey(t *testing.T) {
	t.Parallel()
	nodes := threeNodes(t)
	leader, others := leaderOf(t, nodes...)
	for _, n := range []*node{leader, others[0]} {
		s, err := n.current()
		if err != nil {
			t.Fatal(err)
		}
		before := s.identity.Load()
		if err := s.renew(t.Context()); err != nil {
			t.Fatalf("%s: %v", n.o.Name, err)
		}
		after := s.identity.Load()
		if after == before || after.KeyID() != before.KeyID() || after.NotAfter().Before(before.NotAfter()) {
			t.Errorf("%s: certificate of %v until %v became one of %v until %v",
				n.o.Name, before.KeyID(), before.NotAfter(), after.KeyID(), after.NotAfter())
		}
		if err := n.Sync(t.Context()); err != nil {
			t.Errorf("%s: with the new certificate: %v", n.o.Name, err)
		}
	}
}

func TestJoinThatWasInterruptedBeforeItsPromotionIsFinishedAtTheNextStart(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "a"), newNode(t, "b")
	a.initCluster("")
	if err := b.Join(t.Context(), JoinOptions{Token: a.token(TokenOptions{})}); err != nil {
		t.Fatal(err)
	}
	s, err := a.current()
	if err != nil {
		t.Fatal(err)
	}
	m, ok := s.store.Members().ByName("b")
	if !ok {
		t.Fatal("b is no member")
	}
	m.Joined = false
	if err := s.store.PutMember(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	eventually(t, "b is joined again", func() bool {
		m, _ := s.store.Members().ByName("b")
		return m.Joined
	})
}

func TestWhatAnInterruptedInitLeftIsNobodysAtTheNextStart(t *testing.T) {
	t.Parallel()
	a := newNode(t, "a")
	a.initCluster("")
	a.end()
	// The kill came before the last step of init.
	if err := os.Remove(filepath.Join(a.o.DataDir, "node.json")); err != nil {
		t.Fatal(err)
	}
	a.start()
	a.untouched()
	a.initCluster("")
}

func TestUpgradeChangesTheVersionInTheMembersList(t *testing.T) {
	t.Parallel()
	a := newNode(t, "a")
	a.initCluster("")
	a.end()
	a.o.Version = "next"
	a.start()
	eventually(t, "the list has the new version", func() bool {
		list := a.Members()
		return len(list) == 1 && list[0].Version == "next"
	})
}

func TestNodeFileIsReadable(t *testing.T) {
	t.Parallel()
	a := newNode(t, "a")
	a.initCluster("")
	data, err := os.ReadFile(filepath.Join(a.o.DataDir, "node.json"))
	if err != nil {
		t.Fatal(err)
	}
	var node nodeFile
	if err := json.Unmarshal(data, &node); err != nil || node.Name != "a" || node.ClusterName != "edge" || node.Format != dataFormat {
		t.Errorf("node.json = %+v, %v", node, err)
	}
	if left := time.Until(a.Status().CertEnds); left < 80*24*time.Hour {
		t.Errorf("the certificate ends in %v", left)
	}
}

func TestSilentConnectionsDoNotKeepMembersOut(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "a"), newNode(t, "b")
	a.initCluster("")
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 99)}}
	for range 3 * maxFromOne {
		conn, err := dialer.DialContext(t.Context(), "tcp", a.o.Listen)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	eventually(t, "no more than the limit are under way", func() bool {
		a.port.handshakes.mu.Lock()
		defer a.port.handshakes.mu.Unlock()
		return a.port.handshakes.from[netip.MustParseAddr("127.0.0.99")] <= maxFromOne
	})
	if err := b.Join(t.Context(), JoinOptions{Token: a.token(TokenOptions{})}); err != nil {
		t.Error(err)
	}
	eventually(t, "silent connections are given up", func() bool {
		a.port.handshakes.mu.Lock()
		defer a.port.handshakes.mu.Unlock()
		return a.port.handshakes.from[netip.MustParseAddr("127.0.0.99")] == 0
	})
}

func TestConnectionsToAMemberEndWithItsMembership(t *testing.T) {
	t.Parallel()
	nodes := threeNodes(t)
	a, b := nodes[0], nodes[1]
	first, err := a.Conn("b")
	if err != nil {
		t.Fatal(err)
	}
	if second, err := a.Conn("b"); err != nil || second != first {
		t.Errorf("second Conn is another one (%v)", err)
	}
	mayLeave(t, b)
	eventually(t, "the connection is closed", func() bool {
		return first.(*grpc.ClientConn).GetState() == connectivity.Shutdown
	})
	if _, err := a.Conn("b"); err == nil {
		t.Error("Conn to a former member succeeds")
	}
}
