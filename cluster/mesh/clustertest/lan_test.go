package clustertest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

var (
	addrA = netip.MustParseAddrPort("192.0.2.1:7113")
	addrB = netip.MustParseAddrPort("192.0.2.2:7113")
)

// pair is a network of two hosts, each with a socket.
func pair(t *testing.T) (lan *LAN, hostA, hostB *Host, a, b *PacketConn) {
	t.Helper()
	lan = NewLAN(1)
	hostA, hostB = lan.Host("a", addrA.Addr()), lan.Host("b", addrB.Addr())
	var errA, errB error
	a, errA = hostA.ListenPacket(addrA)
	b, errB = hostB.ListenPacket(addrB)
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	return lan, hostA, hostB, a, b
}

// waiting counts what has arrived and was not read.
func waiting(c *PacketConn) int {
	time.Sleep(time.Second)
	synctest.Wait()
	return len(c.arrived)
}

func TestDatagramsTravelAndAreCutInOneDirection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan, _, _, a, b := pair(t)
		send := func() {
			t.Helper()
			if err := errors.Join(a.WriteTo([]byte("x"), addrB), b.WriteTo([]byte("x"), addrA)); err != nil {
				t.Fatal(err)
			}
		}
		send()
		if n, m := waiting(a), waiting(b); n != 1 || m != 1 {
			t.Errorf("arrived: %d and %d, want 1 and 1", n, m)
		}
		lan.Cut("a", "b")
		send()
		if n, m := waiting(a), waiting(b); n != 2 || m != 1 {
			t.Errorf("arrived after the cut: %d and %d, want 2 and 1", n, m)
		}
		lan.Heal()
		lan.Loss(1)
		send()
		if n, m := waiting(a), waiting(b); n != 2 || m != 1 {
			t.Errorf("arrived with all lost: %d and %d, want 2 and 1", n, m)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if _, _, _, err := a.ReadFrom(make([]byte, 1)); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("ReadFrom after Close: %v", err)
		}
	})
}

func TestSocketsKnowTheirAddresses(t *testing.T) {
	_, hostA, _, a, _ := pair(t)
	if _, err := hostA.ListenPacket(addrA); err == nil {
		t.Error("a second socket on one address was opened")
	}
	if _, err := hostA.ListenPacket(addrB); err == nil {
		t.Error("a socket on another host's address was opened")
	}
	if a.LocalAddr() != addrA {
		t.Errorf("LocalAddr = %v, want %v", a.LocalAddr(), addrA)
	}
}

func TestStreamsConnectAndBreakWithACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan, hostA, hostB, _, _ := pair(t)
		from, to := hostA.Streams(), hostB.Streams()
		accepted := make(chan net.Conn, 1)
		go func() {
			conn, err := to.Accept()
			if err != nil {
				t.Error(err)
			}
			accepted <- conn
		}()
		near, err := from.Dial(t.Context(), "b", addrB)
		if err != nil {
			t.Fatal(err)
		}
		far := <-accepted
		go near.Write([]byte("hello")) //nolint:errcheck // the reader sees it
		got := make([]byte, 5)
		if _, err := io.ReadFull(far, got); err != nil || string(got) != "hello" {
			t.Errorf("read %q, %v", got, err)
		}

		lan.Cut("b", "a")
		if _, err := near.Write([]byte("x")); err == nil {
			t.Error("Write across a cut succeeded")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := from.Dial(ctx, "b", addrB); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Dial across a cut: %v, want a timeout", err)
		}
		lan.Heal()
		to.Close()
		if _, err := from.Dial(t.Context(), "b", addrB); err == nil {
			t.Error("Dial of a closed host succeeded")
		}
	})
}
