package gate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

func be16(b []byte, v int) []byte { return binary.BigEndian.AppendUint16(b, uint16(v)) }

// eth puts an Ethernet header before a payload.
func eth(dst, src net.HardwareAddr, kind int, payload []byte) []byte {
	return append(be16(append(bytes.Clone(dst), src...), kind), payload...)
}

// tag puts a VLAN tag into a frame.
func tag(id int, frame []byte) []byte {
	tagged := be16(bytes.Clone(frame[:12]), unix.ETH_P_8021Q)
	return append(be16(tagged, id), frame[12:]...)
}

func arp(op int, senderMAC net.HardwareAddr, sender, target netip.Addr) []byte {
	b := be16(nil, 1)
	b = be16(b, unix.ETH_P_IP)
	b = be16(append(b, 6, 4), op)
	b = append(append(b, senderMAC...), sender.AsSlice()...)
	return append(append(b, make([]byte, 6)...), target.AsSlice()...)
}

// sum is the internet checksum.
func sum(parts ...[]byte) int {
	var s uint32
	b := bytes.Join(parts, nil)
	for ; len(b) > 1; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) > 0 {
		s += uint32(b[0]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return int(^s & 0xffff)
}

// ip4 makes a packet with the given options, which are padded already, and
// fragment field.
func ip4(proto byte, src, dst netip.Addr, options []byte, fragment int, payload []byte) []byte {
	h := []byte{byte(0x45 + len(options)/4), 0}
	h = be16(h, 20+len(options)+len(payload))
	h = be16(be16(h, 0x1234), fragment)
	h = append(h, 64, proto, 0, 0)
	h = append(append(append(h, src.AsSlice()...), dst.AsSlice()...), options...)
	binary.BigEndian.PutUint16(h[10:], uint16(sum(h)))
	return append(h, payload...)
}

func ip6(next byte, src, dst netip.Addr, payload []byte) []byte {
	h := be16([]byte{0x60, 0, 0, 0}, len(payload))
	h = append(h, next, 255)
	return append(append(append(h, src.AsSlice()...), dst.AsSlice()...), payload...)
}

func echo4(src, dst netip.Addr) []byte { return ip4(unix.IPPROTO_ICMP, src, dst, nil, 0, echo(8)) }

func echo(kind byte) []byte {
	b := []byte{kind, 0, 0, 0, 0x42, 0x42, 0, 1}
	binary.BigEndian.PutUint16(b[2:], uint16(sum(b)))
	return b
}

func icmp6(src, dst netip.Addr, body []byte) []byte {
	pseudo := be16(append(src.AsSlice(), dst.AsSlice()...), 0)
	pseudo = be16(pseudo, len(body))
	pseudo = be16(pseudo, unix.IPPROTO_ICMPV6)
	binary.BigEndian.PutUint16(body[2:], uint16(sum(pseudo, body)))
	return ip6(unix.IPPROTO_ICMPV6, src, dst, body)
}

func echo6(src, dst netip.Addr) []byte {
	return icmp6(src, dst, []byte{128, 0, 0, 0, 0x42, 0x42, 0, 1})
}

// neighbour is a solicitation (135) or advertisement (136).
func neighbour(kind byte, src, dst, target netip.Addr, mac net.HardwareAddr) []byte {
	body := append([]byte{kind, 0, 0, 0, 0, 0, 0, 0}, target.AsSlice()...)
	return icmp6(src, dst, append(append(body, 2-kind%2, 1), mac...))
}

// wire is a packet socket on a link: it sends frames, and keeps those that come in.
type wire struct {
	t   testing.TB
	fd  int
	mac net.HardwareAddr

	mu     sync.Mutex
	frames [][]byte
	ended  chan struct{}
}

// wire listens on a link of m until the test ends.
func (m *machine) wire(link string) *wire {
	m.t.Helper()
	w := &wire{t: m.t, mac: m.link(link).Attrs().HardwareAddr, ended: make(chan struct{})}
	must(m.t, m.do(func() (err error) {
		w.fd, err = packetSocket(m.index(link), unix.ETH_P_ALL)
		return err
	}))
	must(m.t, unix.SetsockoptTimeval(w.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 20_000}))
	stop := make(chan struct{})
	go func() {
		defer close(w.ended)
		buf := make([]byte, 64<<10)
		for {
			select {
			case <-stop:
				return
			default:
			}
			n, from, err := unix.Recvfrom(w.fd, buf, 0)
			if ll, ok := from.(*unix.SockaddrLinklayer); err != nil || !ok || ll.Pkttype == unix.PACKET_OUTGOING {
				continue
			}
			w.mu.Lock()
			w.frames = append(w.frames, bytes.Clone(buf[:n]))
			w.mu.Unlock()
		}
	}()
	m.t.Cleanup(func() {
		close(stop)
		<-w.ended
		unix.Close(w.fd)
	})
	return w
}

func packetSocket(ifindex, protocol int) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	network := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, uint16(protocol)))
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: network, Ifindex: ifindex}); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// send puts a frame on the link. The kernel of the sender may drop it.
func (w *wire) send(frame []byte) {
	w.t.Helper()
	if _, err := unix.Write(w.fd, frame); err != nil && !errors.Is(err, unix.ENOBUFS) {
		w.t.Fatalf("send a frame: %v", err)
	}
}

// count is how many frames came in that match.
func (w *wire) count(match func([]byte) bool) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, f := range w.frames {
		if match(f) {
			n++
		}
	}
	return n
}

const (
	// settle is how long a frame usually takes from one namespace to the other and
	// back.
	settle = 60 * time.Millisecond
	// patience is for one that must come, on a machine that is busy.
	patience = 3 * time.Second
)

// wantAnswer sends a question a few times and wants an answer that matches, or
// none.
func (w *wire) wantAnswer(what string, question []byte, answer func([]byte) bool, want bool) {
	w.t.Helper()
	before := w.count(answer)
	for range 3 {
		w.send(question)
		if end := time.Now().Add(patience); want {
			for time.Now().Before(end) && w.count(answer) == before {
				time.Sleep(time.Millisecond)
			}
			if w.count(answer) > before {
				return
			}
		}
	}
	if !want {
		time.Sleep(settle)
	}
	if got := w.count(answer) > before; got != want {
		w.t.Errorf("%s: answered = %v, want %v", what, got, want)
	}
}

// What comes in.

func isARP(sender netip.Addr) func([]byte) bool {
	return func(f []byte) bool {
		return len(f) >= 42 && f[12] == 8 && f[13] == 6 && bytes.Equal(f[28:32], sender.AsSlice())
	}
}

func isFrom4(proto byte, src netip.Addr) func([]byte) bool {
	return func(f []byte) bool {
		return len(f) >= 34 && f[12] == 8 && f[13] == 0 && f[23] == proto && bytes.Equal(f[26:30], src.AsSlice())
	}
}

func isFrom6(next byte, src netip.Addr) func([]byte) bool {
	return func(f []byte) bool {
		return len(f) >= 54 && f[12] == 0x86 && f[13] == 0xdd && f[20] == next && bytes.Equal(f[22:38], src.AsSlice())
	}
}

// isNeighbour is a neighbour advertisement for a target.
func isNeighbour(target netip.Addr) func([]byte) bool {
	return func(f []byte) bool {
		return len(f) >= 78 && f[12] == 0x86 && f[13] == 0xdd && f[20] == unix.IPPROTO_ICMPV6 && f[54] == 136 &&
			bytes.Equal(f[62:78], target.AsSlice())
	}
}
