package check

import (
	"context"
	"fmt"
	"time"

	"github.com/miekg/dns"
)

// DNS is DNS_CHECK: a server is up when it answers a query over UDP without an
// error code. What the answer says does not matter.
type DNS struct {
	Target Target
	Type   uint16 // as dns.TypeA; 0: SOA
	Name   string // "": the root
}

// String implements Checker.
func (c DNS) String() string { return DNSCheck.String() + " " + c.Target.Addr.String() }

// question is the name and type that are asked for.
func (c DNS) question() dns.Question {
	q := dns.Question{Name: dns.Fqdn(c.Name), Qtype: c.Type, Qclass: dns.ClassINET}
	if q.Qtype == dns.TypeNone {
		q.Qtype = dns.TypeSOA
	}
	return q
}

// Check implements Checker. Its bound is the timeout.
func (c DNS) Check(ctx context.Context) Result {
	q := c.question()
	query := &dns.Msg{Question: []dns.Question{q}}
	query.Id, query.RecursionDesired = dns.Id(), true
	packet, err := query.Pack()
	if err != nil {
		return void(c, "ask for %s: %v", q.Name, err)
	}
	conn, err := c.Target.dial(ctx, "udp")
	if err != nil {
		return c.Target.failed(c, "", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(c.Target.timeout())); err != nil {
		return c.Target.failed(c, "", err)
	}
	defer watch(ctx, conn)()
	if _, err := conn.Write(packet); err != nil {
		return c.Target.failed(c, "", err)
	}
	buffer := make([]byte, dns.DefaultMsgSize)
	for {
		n, err := conn.Read(buffer)
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return c.Target.failed(c, fmt.Sprintf("ask for %s %s: ", q.Name, dns.TypeToString[q.Qtype]), err)
		}
		if rcode, ok := answerTo(query.Id, buffer[:n]); ok {
			return c.judge(q, rcode)
		}
	}
}

// answerTo reads the code of an answer to the query of that number. Anything
// else is not the answer, which may still come. Only the header is looked at: a
// long answer may be cut off, and its content does not matter.
func answerTo(id uint16, packet []byte) (rcode int, ok bool) {
	const headerLength = 12
	if len(packet) < headerLength {
		return 0, false
	}
	var m dns.Msg
	// Without the records the sections are empty, and nothing can be wrong.
	header := append(packet[:4:4], make([]byte, headerLength-4)...)
	if err := m.Unpack(header); err != nil || m.Id != id || !m.Response {
		return 0, false
	}
	return m.Rcode, true
}

func (c DNS) judge(q dns.Question, rcode int) Result {
	kind := dns.TypeToString[q.Qtype]
	if rcode == dns.RcodeSuccess {
		return up(c, "answers for %s %s", q.Name, kind)
	}
	name, ok := dns.RcodeToString[rcode]
	if !ok {
		name = "unknown"
	}
	return down(c, "answers %s (code %d) for %s %s", name, rcode, q.Name, kind)
}
