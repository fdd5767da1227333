package check

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"os"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// Ping is PING_CHECK: a server is up when it answers an ICMP echo request.
type Ping struct {
	Target Target
}

// String implements Checker.
func (c Ping) String() string { return PingCheck.String() + " " + c.Target.Addr.Addr().String() }

// Check implements Checker. Its bound is the timeout.
func (c Ping) Check(ctx context.Context) Result {
	took, err := c.echo(ctx)
	if err != nil {
		return c.Target.failed(c, "", err)
	}
	return up(c, "answered after %s", took.Round(10*time.Microsecond))
}

// echo sends one request and waits for its reply.
func (c Ping) echo(ctx context.Context) (time.Duration, error) {
	f, raw, err := c.open()
	if err != nil {
		return 0, err
	}
	defer f.Close()
	start := time.Now()
	if err := f.SetDeadline(start.Add(c.Target.timeout())); err != nil {
		return 0, err
	}
	defer watch(ctx, f)()

	payload := make([]byte, 16) // known to this attempt alone
	_, _ = rand.Read(payload)   // never fails
	id := binary.BigEndian.Uint16(payload)
	request, err := c.request(id, payload)
	if err != nil {
		return 0, err
	}
	if _, err := f.Write(request); err != nil {
		return 0, err
	}
	packet := make([]byte, 1500)
	for {
		n, err := f.Read(packet)
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if err != nil {
			return 0, err
		}
		if isReply(packet[:n], c.Target.ipv6(), raw, payload) {
			return time.Since(start), nil
		}
	}
}

// open returns a socket that is connected to the target: the kernel's ping
// socket, or a raw one where ping_group_range leaves root out.
func (c Ping) open() (f *os.File, raw bool, err error) {
	protocol := unix.IPPROTO_ICMP
	if c.Target.ipv6() {
		protocol = unix.IPPROTO_ICMPV6
	}
	t := c.Target
	t.Bind = withoutPort(t.Bind)
	fd, to, err := t.socket(unix.SOCK_DGRAM, protocol)
	if errors.Is(err, unix.EACCES) {
		raw = true
		fd, to, err = t.socket(unix.SOCK_RAW, protocol)
	}
	if err != nil {
		return nil, false, err
	}
	// A datagram socket connects at once.
	if err := unix.Connect(fd, to); err != nil {
		unix.Close(fd)
		return nil, false, err
	}
	return os.NewFile(uintptr(fd), c.Target.Addr.Addr().String()), raw, nil
}

func (c Ping) request(id uint16, payload []byte) ([]byte, error) {
	m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: int(id), Seq: 1, Data: payload}}
	if c.Target.ipv6() {
		m.Type = ipv6.ICMPTypeEchoRequest // the kernel fills in the checksum
	}
	return m.Marshal(nil)
}

// isReply reports whether a packet is the echo reply with that payload. A raw
// IPv4 socket, and it alone, shows the IP header.
func isReply(packet []byte, v6, raw bool, payload []byte) bool {
	protocol := unix.IPPROTO_ICMP
	switch {
	case v6:
		protocol = unix.IPPROTO_ICMPV6
	case raw:
		if len(packet) < ipv4.HeaderLen || len(packet) < int(packet[0]&0xf)*4 {
			return false
		}
		packet = packet[int(packet[0]&0xf)*4:]
	}
	m, err := icmp.ParseMessage(protocol, packet)
	if err != nil || m.Type != ipv4.ICMPTypeEchoReply && m.Type != ipv6.ICMPTypeEchoReply {
		return false
	}
	echo, ok := m.Body.(*icmp.Echo)
	return ok && bytes.Equal(echo.Data, payload)
}
