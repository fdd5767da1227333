package check

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestTCPIsUpWhenTheServerAccepts(t *testing.T) {
	target := serve(t, func(net.Conn) {})
	wantUp(t, TCP{target}, "accepts connections")
}

func TestTCPOverIPv6(t *testing.T) {
	target := serveOn(t, "[::1]:0", func(net.Conn) {})
	wantUp(t, TCP{target}, "accepts connections")
}

func TestTCPSaysWhyAServerIsDown(t *testing.T) {
	wantDown(t, TCP{nobody(t)}, "connection refused: the host answers, but nothing listens")
	wantDown(t, TCP{fullBacklog(t).within(brief)}, "no answer within 1s")
}

func TestWhatThisMachineLacksSaysNothingOfTheServer(t *testing.T) {
	at := serve(t, func(net.Conn) {}).Addr
	tests := []struct {
		name   string
		target Target
		want   string
	}{
		{"no such source", Target{Addr: at, Bind: netip.MustParseAddrPort("192.0.2.77:0")}, "cannot use source address 192.0.2.77:0: this machine does not have it"},
		{"source in use", Target{Addr: netip.MustParseAddrPort("127.0.0.1:9"), Bind: at}, "cannot use source " + at.String()},
		{"source of the other family", Target{Addr: at, Bind: netip.MustParseAddrPort("[::1]:0")}, "source ::1 is not of the family of 127.0.0.1"},
		{"no such interface", Target{Addr: at, Interface: "nolink0"}, "this machine has no interface nolink0"},
		{"no such zone", Target{Addr: netip.MustParseAddrPort("[fe80::1%nolink0]:80")}, "this machine has no interface nolink0"},
		{"no zone", Target{Addr: netip.MustParseAddrPort("[fe80::1]:80")}, "name it with bind_if"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, c := range []Checker{TCP{test.target}, SMTP{Target: test.target}, UDP{Target: test.target}} {
				if _, udp := c.(UDP); udp && test.name == "source in use" {
					continue // TCP's ports are others
				}
				wantVoid(t, c, test.want)
			}
		})
	}
}

func TestRefusalIsTheServers(t *testing.T) {
	// What ICMPv6 says for a server whose firewall rejects.
	if r := (Target{}).failed(TCP{}, "", os.NewSyscallError("connect", unix.EACCES)); r.Void || !strings.Contains(r.Reason, "refused by a firewall") {
		t.Errorf("%+v, want a failure of the server", r)
	}
	for _, c := range []Checker{TCP{nobody(t)}, SMTP{Target: nobody(t)}, UDP{Target: nobody(t)}, DNS{Target: nobody(t)}} {
		if r := wantDown(t, c, "connection refused"); r.Void {
			t.Errorf("%s: says nothing of the server", r.Reason)
		}
	}
}

func TestTargetIsReachedAsItSays(t *testing.T) {
	seen := make(chan string, 1)
	target := serve(t, func(c net.Conn) { seen <- c.RemoteAddr().String() })
	port := nobody(t).Addr.Port()
	target.Bind = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), port)
	target.Interface, target.Mark = "lo", 7
	for name, c := range map[string]Checker{"socket": TCP{target}, "dial": SMTP{Target: target}} {
		t.Run(name, func(t *testing.T) {
			c.Check(t.Context())
			select {
			case got := <-seen:
				if got != target.Bind.String() {
					t.Errorf("server sees %s, want %s", got, target.Bind)
				}
			case <-time.After(patience):
				t.Error("the server saw no connection")
			}
		})
	}
}

func TestMarkIsSet(t *testing.T) {
	target := Target{Addr: netip.MustParseAddrPort("127.0.0.1:9"), Mark: 300}
	fd, _, err := target.socket(unix.SOCK_STREAM, unix.IPPROTO_TCP)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK); got != 300 || err != nil {
		t.Errorf("mark = %d, %v; want 300", got, err)
	}
}

func TestTCPEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	target := fullBacklog(t).within(patience)
	time.AfterFunc(50*time.Millisecond, cancel)
	start := time.Now()
	r := TCP{target}.Check(ctx)
	if took := time.Since(start); r.Up || took > patience/2 {
		t.Errorf("%+v after %s, want down soon after the end of the context", r, took)
	}
}

func TestTCPLeavesNoConnectionOnThisMachine(t *testing.T) {
	ended := make(chan error, 1)
	target := serve(t, func(c net.Conn) {
		_, err := c.Read(make([]byte, 1))
		ended <- err
	})
	wantUp(t, TCP{target}, "")
	select {
	case err := <-ended:
		if !isReset(err) {
			t.Errorf("the server's end of the connection ended by %v, want a reset", err)
		}
	case <-time.After(patience):
		t.Error("the server's end of the connection did not end")
	}
}

func isReset(err error) bool {
	op, ok := err.(*net.OpError)
	return ok && op.Err.Error() == "read: connection reset by peer"
}

// fullBacklog is a listener whose queue is full: the kernel answers no further
// connection.
func fullBacklog(t *testing.T) Target {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	to := name.(*unix.SockaddrInet4)
	// The kernel has done all it will when connect returns. The queue has room
	// for one, so the last of these gets no answer.
	for range 3 {
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(c) })
		if err := unix.Connect(c, to); err != nil && err != unix.EINPROGRESS {
			t.Fatal(err)
		}
	}
	return Target{Addr: netip.AddrPortFrom(netip.AddrFrom4(to.Addr), uint16(to.Port))}
}
