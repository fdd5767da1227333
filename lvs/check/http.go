package check

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// HTTP is HTTP_GET, or with TLS SSL_GET: a server is up when all urls give what
// they should.
type HTTP struct {
	Target      Target
	URLs        []URL // fetched in turn; the first that fails ends the attempt
	VirtualHost string
	Protocol    Protocol
	TLS         *TLS
}

// Protocol is the version of HTTP that a check speaks.
type Protocol uint8

// Versions of HTTP. The first is keepalived's default; the last one, which
// keepalived does not have, is negotiated by ALPN with TLS, and spoken from the
// start without.
const (
	HTTP10      Protocol = iota
	HTTP10Close          // with Connection: close
	HTTP11
	HTTP2
)

// String is the word of http_protocol.
func (p Protocol) String() string {
	switch p {
	case HTTP10:
		return "1.0"
	case HTTP10Close:
		return "1.0C"
	case HTTP11:
		return "1.1"
	case HTTP2:
		return "2"
	default:
		panic(fmt.Sprintf("check: HTTP protocol %d", p))
	}
}

// Bounds of what a server may send.
const (
	// httpHeaderLimit bounds the status line and header, with those of
	// interim answers.
	httpHeaderLimit = 64 << 10
	// httpInterimLimit bounds the interim answers (100, 103) before the answer.
	httpInterimLimit = 8
	// httpBodyLimit bounds what is read of the body: a digest of a longer one
	// is refused.
	httpBodyLimit = 16 << 20
	// httpPatternLimit is how much of the body a pattern is searched in, from
	// regex_min_offset on: that costs a second of a processor for 10 MB.
	httpPatternLimit = 1 << 20
)

// String implements Checker.
func (c HTTP) String() string { return c.kind().String() + " " + c.Target.Addr.String() }

func (c HTTP) kind() Kind {
	if c.TLS != nil {
		return SSLGet
	}
	return HTTPGet
}

// Check implements Checker. For each url it is bounded by the timeout for the
// connection with its TLS handshake, and then by four times that for the answer,
// with no gap longer than the timeout.
func (c HTTP) Check(ctx context.Context) Result {
	if len(c.URLs) == 0 {
		return up(c, "no url to fetch")
	}
	var seen string
	for _, u := range c.URLs {
		var err error
		if seen, err = c.fetch(ctx, u); err != nil {
			return c.Target.failed(c, c.address(u)+": ", err)
		}
	}
	if len(c.URLs) == 1 {
		return up(c, "%s: %s", c.address(c.URLs[0]), seen)
	}
	return up(c, "all %d urls are as they should be", len(c.URLs))
}

// address is a url for people.
func (c HTTP) address(u URL) string {
	scheme := "http"
	if c.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + c.host(u) + u.Path
}

// host is what the Host header says. The target's address always has its port,
// as keepalived has it.
func (c HTTP) host(u URL) string {
	switch {
	case u.VirtualHost != "":
		return u.VirtualHost
	case c.VirtualHost != "":
		return c.VirtualHost
	}
	at := c.Target.Addr
	return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port()).String()
}

// fetch gets one url and says what is right about it, or what is wrong.
func (c HTTP) fetch(ctx context.Context, u URL) (seen string, err error) {
	conn, err := c.Target.connect(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	switch {
	case c.TLS == nil:
		conn.begin()
		seen, err = c.talk(ctx, conn, u)
	default:
		seen, err = c.talkTLS(ctx, conn, u)
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return seen, err
}

func (c HTTP) talk(ctx context.Context, conn net.Conn, u URL) (seen string, err error) {
	if c.Protocol == HTTP2 {
		return c.talk2(ctx, conn, u)
	}
	return c.talk1(conn, u)
}

// talkTLS is talk within TLS. What goes wrong is said with what is known of the
// server's certificate.
func (c HTTP) talkTLS(ctx context.Context, conn *stream, u URL) (seen string, err error) {
	secure, err := c.TLS.handshake(ctx, conn, c.Protocol)
	if err != nil {
		return "", fmt.Errorf("TLS handshake: %s%s", c.TLS.explain(c.Target, err), about(secure))
	}
	conn.begin()
	seen, err = c.talk(ctx, secure, u)
	if err != nil {
		return "", fmt.Errorf("%s%s", c.TLS.explain(c.Target, err), about(secure))
	}
	if c.TLS.Compliant || u.TLSCompliant {
		_ = secure.CloseWrite() // what was wanted is known
	}
	return seen, nil
}

// userAgent begins as keepalived's does: the logs of many servers leave it out.
const userAgent = "KeepAliveClient (haclusterd)"

// request is what HTTP/1 sends.
func (c HTTP) request(u URL) string {
	var b strings.Builder
	version := "1.0"
	if c.Protocol == HTTP11 {
		version = "1.1"
	}
	fmt.Fprintf(&b, "GET %s HTTP/%s\r\nHost: %s\r\nUser-Agent: %s\r\n", u.Path, version, c.host(u), userAgent)
	if c.Protocol != HTTP10 {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("\r\n")
	return b.String()
}
