package check

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/miekg/dns"
)

// DNS is DNS_CHECK: a server is up when it answers a query over UDP without an
// error code. What the answer says does not matter.
type DNS struct {
	Target Target
	Type   string // as in a zone file: A, AAAA, MX; "": SOA
	Name   string // "": the root
}

// String implements Checker.
func (c DNS) String() string { return DNSCheck.String() + " " + c.Target.Addr.String() }

// Check implements Checker. Its bound is the timeout.
func (c DNS) Check(ctx context.Context) Result {
	name, kind := dns.Fqdn(c.Name), cmp.Or(c.Type, "SOA")
	number, ok := dns.StringToType[kind]
	if !ok {
		return void(c, "%q is no type of records; use A, AAAA, CNAME, MX, NS, SOA or TXT", kind)
	}
	query := &dns.Msg{Question: []dns.Question{{Name: name, Qtype: number, Qclass: dns.ClassINET}}}
	query.Id, query.RecursionDesired = dns.Id(), true
	packet, err := query.Pack()
	if err != nil {
		return void(c, "ask for %s: %v", name, err)
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
			return c.Target.failed(c, fmt.Sprintf("ask for %s %s: ", name, kind), err)
		}
		if rcode, ok := answerTo(query.Id, buffer[:n]); ok {
			return c.judge(name, kind, rcode)
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

func (c DNS) judge(name, kind string, rcode int) Result {
	if rcode == dns.RcodeSuccess {
		return up(c, "answers for %s %s", name, kind)
	}
	code, ok := dns.RcodeToString[rcode]
	if !ok {
		code = "unknown"
	}
	return down(c, "answers %s (code %d) for %s %s", code, rcode, name, kind)
}
