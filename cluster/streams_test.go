package cluster

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/cluster/pki"
)

// identityOf makes a node's identity with an authority of its own.
func identityOf(t *testing.T, node string) *pki.Identity {
	t.Helper()
	a := newNode(t, node)
	a.initCluster("")
	s, err := a.current()
	if err != nil {
		t.Fatal(err)
	}
	return s.identity.Load()
}

func TestStreamWhoseWriteMissedItsDeadlineEndsWithoutABadRecord(t *testing.T) {
	t.Parallel()
	identity := identityOf(t, "a")
	for _, side := range []string{"dialled", "accepted"} {
		t.Run(side, func(t *testing.T) {
			port, err := listen(freeAddr(t).String(), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer port.Close()
			port.use(identity.Server(protoGRPC, protoRaft, protoGossip))
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			writer, err := dialTLS(ctx, port.listener.Addr().String(), identity.Client("a", protoGossip))
			if err != nil {
				t.Fatal(err)
			}
			reader, err := port.routes[protoGossip].listener().Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			if side == "accepted" {
				writer, reader = reader, writer
			}
			exchange(t, writer, reader)
			// The writer gets no processor until its time is over.
			if err := writer.SetDeadline(time.Now().Add(-time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := writer.Write([]byte("late")); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("Write = %v, want a missed deadline", err)
			}
			if err := writer.Close(); err != nil {
				t.Error(err)
			}
			if err := reader.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			n, err := reader.Read(make([]byte, 8))
			if n != 0 || err == nil || strings.Contains(err.Error(), "bad record MAC") || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the other end reads %d octets, %v, want the end of the stream", n, err)
			}
		})
	}
}

// exchange sends something over the connection.
func exchange(t *testing.T, from, to net.Conn) {
	t.Helper()
	if _, err := from.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(to, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
}
