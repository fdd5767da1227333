package lab

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Frame is one Ethernet frame as it entered the switch.
type Frame struct {
	At      time.Time // the kernel's time stamp
	Node    string    // who sent it
	Network Network
	Data    []byte
}

// capture reads every frame that enters the switch, on any port. Frames that
// leave it are not read, so each appears once and its sender is certain.
type capture struct {
	sw   *namespace
	file *os.File

	mu     sync.Mutex
	frames []Frame
	feed   func(Frame) // called with each frame in order, under mu
	ports  map[int]port
	done   chan struct{}
}

type port struct {
	node    string
	network Network
	ok      bool // a node's port, not a bridge
}

// captureBuffer holds some seconds of probing should the reader be late.
const captureBuffer = 32 << 20

func newCapture(sw *namespace, feed func(Frame)) (*capture, error) {
	c := &capture{sw: sw, feed: feed, ports: make(map[int]port), done: make(chan struct{})}
	err := sw.do(func() error {
		// Protocol 0 until it is set up: nothing is received before bind.
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		c.file = os.NewFile(uintptr(fd), "capture")
		return errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL)}),
		)
	})
	if err != nil {
		return nil, fmt.Errorf("capture in %s: %w", sw.name, err)
	}
	go c.read()
	return c, nil
}

// read owns the socket's reading side and ends when it is closed.
func (c *capture) read() {
	defer close(c.done)
	raw, err := c.file.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, 65536)
	oob := make([]byte, 256)
	for {
		var n, oobn int
		var from unix.Sockaddr
		var rerr error
		if err := raw.Read(func(fd uintptr) bool {
			n, oobn, _, from, rerr = unix.Recvmsg(int(fd), buf, oob, 0)
			return rerr != unix.EAGAIN
		}); err != nil {
			return // closed
		}
		ll, ok := from.(*unix.SockaddrLinklayer)
		if rerr != nil || !ok {
			continue // an interface went down: the socket reports it once
		}
		p := c.port(ll.Ifindex)
		if !p.ok {
			continue
		}
		f := Frame{At: timestamp(oob[:oobn]), Node: p.node, Network: p.network, Data: append([]byte(nil), buf[:n]...)}
		c.mu.Lock()
		c.frames = append(c.frames, f)
		c.feed(f)
		c.mu.Unlock()
	}
}

// port says which node is at an interface of the switch. Only the reader calls
// it.
func (c *capture) port(index int) port {
	p, known := c.ports[index]
	if !known {
		if link, err := c.sw.nl.LinkByIndex(index); err == nil {
			name := link.Attrs().Name
			switch {
			case strings.HasSuffix(name, "-s"):
				p = port{strings.TrimSuffix(name, "-s"), Service, true}
			case strings.HasSuffix(name, "-c"):
				p = port{strings.TrimSuffix(name, "-c"), Control, true}
			}
		}
		c.ports[index] = p
	}
	return p
}

// close ends the capture and reports how many frames the kernel had no room
// for.
func (c *capture) close() (lost uint32) {
	if raw, err := c.file.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			if stats, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
				lost = stats.Drops
			}
		})
	}
	c.file.Close()
	<-c.done
	return lost
}

// timestamp finds SCM_TIMESTAMPNS; now stands in for a missing one.
func timestamp(oob []byte) time.Time {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return time.Now().Round(0)
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			ts := (*unix.Timespec)(unsafe.Pointer(&m.Data[0]))
			return time.Unix(ts.Sec, ts.Nsec)
		}
	}
	return time.Now().Round(0)
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

// sender is a packet socket on one interface, for probes made by hand.
type sender struct {
	fd    int
	index int
}

func newSender(n *Node, network Network) (*sender, error) {
	s := &sender{}
	err := n.ns.do(func() error {
		link, err := n.ns.nl.LinkByName(network.Interface())
		if err != nil {
			return err
		}
		s.index = link.Attrs().Index
		s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		return err
	})
	return s, err
}

// send loses the frame when the interface is down: the probes go on.
func (s *sender) send(frame []byte) {
	_ = unix.Sendto(s.fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: s.index, Halen: 6, Addr: [8]byte(append(frame[:6:6], 0, 0))})
}

func (s *sender) close() { unix.Close(s.fd) }

var broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
