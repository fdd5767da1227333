package mesh

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// tcpStreams is a StreamLayer on plain TCP.
type tcpStreams struct{ net.Listener }

func (tcpStreams) Dial(ctx context.Context, _ string, addr netip.AddrPort) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", addr.String())
}

// freePort finds a port that is free for UDP, and takes it for TCP.
func freePort(t *testing.T, host netip.Addr) (netip.AddrPort, net.Listener) {
	t.Helper()
	for range 10 {
		l, err := net.Listen("tcp", netip.AddrPortFrom(host, 0).String())
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().(*net.TCPAddr).AddrPort()
		if udp, err := ListenUDP(addr); err == nil {
			udp.Close()
			return addr, l
		}
		l.Close()
	}
	t.Fatal("no free port")
	return netip.AddrPort{}, nil
}

func TestMeshOnTheKernelsSockets(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			receipts := make(chan Receipt, 2)
			var meshes []*Mesh
			var members []Member
			ended := make(chan error, 2)
			ctx, cancel := context.WithCancel(t.Context())
			for _, name := range []string{"n1", "n2"} {
				addr, listener := freePort(t, netip.MustParseAddr(host))
				m, err := New(Options{
					Name: name, ClusterID: "c1", Keys: [][]byte{key1}, Advertise: addr,
					GossipListen: addr, HeartbeatListen: netip.AddrPortFrom(netip.IPv6Unspecified(), 0),
					Streams: tcpStreams{listener},
					Receive: func(r Receipt) {
						r.Payload = append([]byte(nil), r.Payload...)
						receipts <- r
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				meshes = append(meshes, m)
				go func() { ended <- m.Run(ctx) }()
				var heartbeats netip.AddrPort
				eventually(t, func() bool { heartbeats, err = m.HeartbeatAddr(); return err == nil })
				members = append(members, Member{Name: name, GossipAddr: addr,
					HeartbeatAddrs: []netip.AddrPort{netip.AddrPortFrom(addr.Addr(), heartbeats.Port())}})
			}
			for _, m := range meshes {
				m.SetMembers(members)
			}
			for _, m := range meshes {
				eventually(t, func() bool { return m.Members()[0].State == Alive })
			}
			if err := meshes[0].Send([]string{"n2"}, []byte("hello"), []byte("world")); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"hello", "world"} {
				select {
				case r := <-receipts:
					if r.Path != "lo" || r.From.Addr().String() != host || string(r.Payload) != want || time.Since(r.At) > time.Minute {
						t.Errorf("receipt = %+v, want %s", r, want)
					}
				case <-time.After(10 * time.Second):
					t.Error("no heartbeat came")
				}
			}
			cancel()
			for range meshes {
				if err := <-ended; err != nil {
					t.Errorf("Run: %v", err)
				}
			}
		})
	}
}

// eventually waits in real time, for the kernel.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("not after 10 s")
}

func TestPortInUseIsNamed(t *testing.T) {
	addr, listener := freePort(t, netip.MustParseAddr("127.0.0.1"))
	taken, err := ListenUDP(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	m, err := New(Options{Name: "n1", ClusterID: "c1", Keys: [][]byte{key1}, Advertise: addr, GossipListen: addr,
		Streams: tcpStreams{listener}})
	if err != nil {
		t.Fatal(err)
	}
	err = m.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), addr.String()) || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("Run: %v, want the address and the reason", err)
	}
}
