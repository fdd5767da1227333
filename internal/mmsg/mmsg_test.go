package mmsg

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket opens a UDP socket that gives up after ten seconds.
func socket(t *testing.T, listen string) (*net.UDPConn, syscall.RawConn, netip.AddrPort) {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(listen)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	raw, err := c.SyscallConn()
	if err = errors.Join(err, c.SetDeadline(time.Now().Add(10*time.Second))); err != nil {
		t.Fatal(err)
	}
	return c, raw, c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// messages makes one of each datagram.
func messages(to *unix.RawSockaddrInet6, datagrams ...[]byte) []Message {
	all := make([]Message, len(datagrams))
	for n, b := range datagrams {
		h := &all[n].Header
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(to)), unix.SizeofSockaddrInet6
		h.Iov = &unix.Iovec{Base: unsafe.SliceData(b)}
		h.Iov.SetLen(len(b))
		h.SetIovlen(1)
	}
	return all
}

func TestDatagramsArriveAsTheyWereSent(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(listen, func(t *testing.T) {
			_, in, to := socket(t, listen)
			_, out, from := socket(t, listen)
			datagrams := [][]byte{[]byte("one"), []byte("three"), bytes.Repeat([]byte{4}, 64), bytes.Repeat([]byte{5}, 65)}
			name := Sockaddr(to, to.Addr().Is4())
			if failed, err := NewWriter(out).Send(messages(&name, datagrams...)); failed != 0 || err != nil {
				t.Fatalf("Send: %d failed, %v", failed, err)
			}
			r := NewReader(in, 3, 64)
			for came, want := 0, 1; came < len(datagrams); want++ {
				got, err := r.Receive(want)
				if err != nil || got < 1 || got > want {
					t.Fatalf("Receive(%d) = %d, %v", want, got, err)
				}
				for n := range got {
					b := datagrams[came]
					if p := r.Payload(n); !bytes.Equal(p, b[:min(64, len(b))]) {
						t.Errorf("datagram %d is %q, want %q cut after 64", came, p, b)
					}
					if r.From(n) != from {
						t.Errorf("datagram %d is from %v, want %v", came, r.From(n), from)
					}
					came++
				}
			}
		})
	}
}

func TestControlIsWhatTheKernelSaidOfEachDatagram(t *testing.T) {
	_, in, to := socket(t, "127.0.0.1:0")
	_, out, _ := socket(t, "127.0.0.1:0")
	var failed error
	err := in.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVTTL, 1) })
	if err = errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	name := Sockaddr(to, true)
	w, r := NewWriter(out), NewReader(in, 1, 64)
	for range 2 { // the kernel shortens what the first call offered
		if _, err := w.Send(messages(&name, []byte("one"))); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Receive(1); err != nil {
			t.Fatal(err)
		}
		header, data, _, err := unix.ParseOneSocketControlMessage(r.Control(0))
		if err != nil || header.Type != unix.IP_TTL || len(data) != 4 {
			t.Errorf("control message %+v of %d bytes, %v; want IP_TTL", header, len(data), err)
		}
	}
}

func TestRefusedMessagesAreCountedAndTheOthersGo(t *testing.T) {
	_, in, to := socket(t, "127.0.0.1:0")
	_, out, _ := socket(t, "127.0.0.1:0")
	right, wrong := Sockaddr(to, true), Sockaddr(to, false)
	all := append(messages(&wrong, []byte("no")), messages(&right, []byte("yes"))...)
	all = append(all, messages(&wrong, []byte("no"))...)
	if failed, err := NewWriter(out).Send(all); failed != 2 || !errors.Is(err, unix.EAFNOSUPPORT) {
		t.Errorf("Send: %d failed, %v; want 2, EAFNOSUPPORT", failed, err)
	}
	r := NewReader(in, 2, 64)
	if n, err := r.Receive(2); n != 1 || err != nil || string(r.Payload(0)) != "yes" {
		t.Errorf("Receive = %d, %v, want one: yes", n, err)
	}
}

func TestACloseEndsReceiveAndRefusesAll(t *testing.T) {
	c, raw, to := socket(t, "127.0.0.1:0")
	end := time.AfterFunc(10*time.Millisecond, func() { c.Close() })
	defer end.Stop()
	if _, err := NewReader(raw, 1, 64).Receive(1); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Receive: %v, want that it is closed", err)
	}
	name := Sockaddr(to, true)
	if failed, err := NewWriter(raw).Send(messages(&name, nil, nil)); failed != 2 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("Send: %d failed, %v; want 2, %v", failed, err, net.ErrClosed)
	}
}

func TestSteadyTrafficAllocatesNothing(t *testing.T) {
	_, in, to := socket(t, "127.0.0.1:0")
	_, out, _ := socket(t, "127.0.0.1:0")
	name := Sockaddr(to, true)
	all := messages(&name, []byte("one"), []byte("two"))
	w, r := NewWriter(out), NewReader(in, 2, 64)
	n := testing.AllocsPerRun(100, func() {
		if _, err := w.Send(all); err != nil {
			t.Fatal(err)
		}
		for came := 0; came < 2; {
			got, err := r.Receive(2)
			if err != nil {
				t.Fatal(err)
			}
			for n := range got {
				_, _ = r.From(n), r.Control(n)
			}
			came += got
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for two datagrams, want none", n)
	}
}

func TestAddressesComeBackFromTheKernelsForm(t *testing.T) {
	for _, tt := range []struct {
		addr string
		ipv4 bool
	}{{"192.0.2.1:7113", true}, {"192.0.2.1:7113", false}, {"[2001:db8::1]:80", false}} {
		name := Sockaddr(netip.MustParseAddrPort(tt.addr), tt.ipv4)
		if got := addrPort(&name); got.String() != tt.addr {
			t.Errorf("IPv4 socket %v: %v comes back as %v", tt.ipv4, tt.addr, got)
		}
	}
}

func TestOfferNeverWaitsForRoom(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*os.File
	for n, fd := range fds {
		ends[n] = os.NewFile(uintptr(fd), "socket")
		defer ends[n].Close()
	}
	raw, err := ends[0].SyscallConn()
	if err = errors.Join(err, ends[0].SetDeadline(time.Now().Add(10*time.Second))); err != nil {
		t.Fatal(err)
	}
	iov := unix.Iovec{Base: unsafe.SliceData([]byte("x"))}
	iov.SetLen(1)
	all := make([]Message, 5000) // more than a queue of the kernel holds
	for n := range all {
		all[n].Header.Iov = &iov
		all[n].Header.SetIovlen(1)
	}
	first, refused := -1, 0
	NewWriter(raw).Offer(all, func(index int, err error) {
		if !errors.Is(err, unix.EAGAIN) {
			t.Errorf("message %d: %v, want EAGAIN", index, err)
		}
		if refused++; first < 0 {
			first = index
		}
	})
	if refused == 0 || first+refused != len(all) {
		t.Errorf("%d refused from message %d on, want all %d from there", refused, first, len(all))
	}
}
