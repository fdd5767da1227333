package check

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is what a test gives a check that should succeed on a loaded machine,
// brief what it gives one that should time out.
const (
	patience = 20 * time.Second
	brief    = time.Second
)

// serve answers each connection to a port of loopback with f until the test
// ends, and returns its address.
func serve(t *testing.T, f func(net.Conn)) Target {
	t.Helper()
	return serveOn(t, "127.0.0.1:0", f)
}

func serveOn(t *testing.T, address string, f func(net.Conn)) Target {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(patience))
				f(conn)
			})
		}
	})
	return Target{Addr: addrPort(l.Addr()), Timeout: patience}
}

// servePackets answers each datagram to a port of loopback with what f returns,
// if it returns something.
func servePackets(t *testing.T, f func([]byte) []byte) Target {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	go func() {
		defer close(done)
		b := make([]byte, 65536)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if reply := f(b[:n]); reply != nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
	return Target{Addr: addrPort(conn.LocalAddr()), Timeout: patience}
}

// nobody is a port of loopback at which nobody listens.
func nobody(t *testing.T) Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return Target{Addr: addrPort(l.Addr()), Timeout: patience}
}

func addrPort(a net.Addr) netip.AddrPort { return netip.MustParseAddrPort(a.String()) }

// within gives a target another timeout.
func (t Target) within(d time.Duration) Target {
	t.Timeout = d
	return t
}

// wantUp and wantDown make one attempt, whose reason must name the check and
// hold some words.
func wantUp(t *testing.T, c Checker, words string) Result {
	t.Helper()
	return want(t, c, true, words)
}

func wantDown(t *testing.T, c Checker, words string) Result {
	t.Helper()
	return want(t, c, false, words)
}

// wantVoid makes an attempt that cannot be made.
func wantVoid(t *testing.T, c Checker, words string) {
	t.Helper()
	if r := wantDown(t, c, words); !r.Void {
		t.Errorf("%s: counts as a failure of the server", r.Reason)
	}
}

func want(t *testing.T, c Checker, up bool, words string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	r := c.Check(ctx)
	t.Log(r.Reason)
	if r.Up != up || !strings.HasPrefix(r.Reason, c.String()+": ") || !strings.Contains(r.Reason, words) {
		t.Errorf("up %v: %s\nwant %v, %s: … %s", r.Up, r.Reason, up, c, words)
	}
	if len(r.Reason) > 1000 || strings.ContainsAny(r.Reason, "\r\n") {
		t.Errorf("reason of %d bytes is no line for a person: %q", len(r.Reason), r.Reason)
	}
	return r
}
