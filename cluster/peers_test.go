package cluster

import (
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
)

func TestAPeerThatIsBackIsReachedAtOnce(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	conn, err := grpc.NewClient("passthrough:///"+addr,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: time.Hour, MaxDelay: time.Hour}, MinConnectTimeout: time.Second,
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := ready(t.Context(), conn); err == nil {
		t.Fatal("a connection to nobody stands")
	}
	if state := conn.GetState(); state != connectivity.TransientFailure {
		t.Fatalf("the connection is %s, want one that rests", state)
	}

	if l, err = net.Listen("tcp", addr); err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	go server.Serve(l)
	t.Cleanup(server.Stop)
	eventually(t, "the peer is reached", func() bool { return ready(t.Context(), conn) == nil })
}
