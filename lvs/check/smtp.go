package check

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// SMTP is SMTP_CHECK: a server is up when it greets (220), takes HELO (250) and
// QUIT (RFC 5321).
type SMTP struct {
	Target Target
	// Helo is what HELO says; "": the address literal of this end, which
	// RFC 5321 section 4.1.4 asks of a client that has no name.
	Helo string
}

// Bounds of a reply. RFC 5321 section 4.5.3.1.5 has 512 bytes for a line.
const (
	smtpLineLimit  = 2048
	smtpLinesLimit = 100
)

// String implements Checker.
func (c SMTP) String() string { return SMTPCheck.String() + " " + c.Target.Addr.String() }

// Check implements Checker. Its bound is the timeout for the connection, and four
// times that for each of the three replies, with no gap longer than the timeout.
func (c SMTP) Check(ctx context.Context) Result {
	conn, err := c.Target.connect(ctx)
	if err != nil {
		return c.Target.failed(c, "", err)
	}
	defer conn.Close()
	in := bufio.NewReaderSize(conn, smtpLineLimit)
	for _, step := range []struct {
		name, send string
		want       int
	}{
		{name: "greeting", want: 220},
		{name: "HELO", send: "HELO " + c.helo(conn.LocalAddr()), want: 250},
		{name: "QUIT", send: "QUIT", want: 221},
	} {
		conn.begin()
		code, text, err := ask(conn, in, step.send)
		switch {
		case ctx.Err() != nil:
			return c.Target.failed(c, "", context.Cause(ctx))
		case err != nil:
			return c.Target.failed(c, step.name+": ", err)
		case code != step.want:
			return down(c, "%s: the server says %q, want %d", step.name, text, step.want)
		}
	}
	return up(c, "greets and takes HELO")
}

// ask sends a line, if there is one, and reads the reply.
func ask(conn io.Writer, in *bufio.Reader, line string) (code int, text string, err error) {
	if line != "" {
		if _, err := io.WriteString(conn, line+"\r\n"); err != nil {
			return 0, "", err
		}
	}
	return readReply(in)
}

// readReply reads a reply of one or several lines and returns its code and its
// last line.
func readReply(in *bufio.Reader) (code int, text string, err error) {
	for range smtpLinesLimit {
		raw, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return 0, "", fmt.Errorf("the server sends a line of more than %d bytes", in.Size())
		case err != nil:
			return 0, "", err
		}
		line := strings.TrimRight(string(raw), "\r\n")
		code, last, ok := parseReply(line)
		switch {
		case !ok:
			return 0, "", fmt.Errorf("the server says %.80q, which is no SMTP reply", line)
		case last:
			return code, fmt.Sprintf("%.200s", line), nil
		}
	}
	return 0, "", fmt.Errorf("the server sends a reply of more than %d lines", smtpLinesLimit)
}

// parseReply reads the code of one line: three digits, then a space or the end
// on the last line of a reply, a hyphen before (RFC 5321 section 4.2.1).
func parseReply(line string) (code int, last, ok bool) {
	if len(line) < 3 {
		return 0, false, false
	}
	code, err := strconv.Atoi(line[:3])
	if err != nil || code < 100 {
		return 0, false, false
	}
	rest := line[3:]
	switch {
	case rest == "" || rest[0] == ' ':
		return code, true, true
	case rest[0] == '-':
		return code, false, true
	}
	return 0, false, false
}

func (c SMTP) helo(local net.Addr) string {
	if c.Helo != "" {
		return c.Helo
	}
	at, err := netip.ParseAddrPort(local.String())
	if err != nil {
		return "localhost"
	}
	if ip := at.Addr().WithZone(""); ip.Is6() {
		return "[IPv6:" + ip.String() + "]"
	}
	return "[" + at.Addr().String() + "]"
}
