package check

import (
	"context"
	"crypto/rand"
	"time"
)

// DefaultMaxReply is keepalived's default of max_reply_length.
const DefaultMaxReply = 255

// UDP is UDP_CHECK: a server is down when an ICMP error answers a datagram, or,
// with RequireReply, when no right reply does.
type UDP struct {
	Target       Target
	Payload      []byte // empty: 32 random bytes
	RequireReply bool
	// Reply is compared with the beginning of the reply, as far as the shorter
	// of them goes. The bits that are set in ReplyMask, which is empty or as
	// long as Reply, may differ.
	Reply, ReplyMask   []byte
	MinReply, MaxReply int // length of a right reply, in bytes, at most 65535
}

// String implements Checker.
func (c UDP) String() string { return UDPCheck.String() + " " + c.Target.Addr.String() }

// Check implements Checker. Its bound is the timeout; without RequireReply a
// server that is up and silent takes all of it.
func (c UDP) Check(ctx context.Context) Result {
	conn, err := c.Target.dial(ctx, "udp")
	if err != nil {
		return c.Target.failed(c, "", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(c.Target.timeout())); err != nil {
		return c.Target.failed(c, "", err)
	}
	defer watch(ctx, conn)()
	payload := c.Payload
	if len(payload) == 0 {
		payload = make([]byte, 32)
		_, _ = rand.Read(payload) // never fails
	}
	if _, err := conn.Write(payload); err != nil {
		return c.Target.failed(c, "", err)
	}
	reply := make([]byte, c.MaxReply+1)
	n, err := conn.Read(reply)
	switch {
	case ctx.Err() != nil:
		return c.Target.failed(c, "", context.Cause(ctx))
	case isTimeout(err) && !c.RequireReply:
		return up(c, "no ICMP error within %s", c.Target.timeout())
	case isTimeout(err):
		return down(c, "no reply within %s", c.Target.timeout())
	case err != nil:
		return c.Target.failed(c, "", err)
	case !c.RequireReply:
		return up(c, "the server replies")
	}
	return c.judge(reply[:n])
}

// judge compares a reply with what is wanted. One that fills the buffer is too
// long.
func (c UDP) judge(reply []byte) Result {
	switch {
	case len(reply) > c.MaxReply:
		return down(c, "the reply is longer than max_reply_length %d", c.MaxReply)
	case len(reply) < c.MinReply:
		return down(c, "the reply has %d bytes, min_reply_length is %d", len(reply), c.MinReply)
	}
	for i := range min(len(reply), len(c.Reply)) {
		differ := reply[i] ^ c.Reply[i]
		if i < len(c.ReplyMask) {
			differ &^= c.ReplyMask[i]
		}
		if differ != 0 {
			return down(c, "byte %d of the reply is %02x, want %02x", i, reply[i], c.Reply[i])
		}
	}
	return up(c, "the server replies as wanted")
}
