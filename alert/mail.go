package alert

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/smtp"
	"strings"
	"time"
)

// Mail delivers one mail for each group of changes, to a relay without
// authentication, as keepalived does (smtp_server).
type Mail struct {
	Server         string        // host:port
	Hello          string        // name for HELO; empty: localhost
	ConnectTimeout time.Duration // 0: 30 s
	From           string        // bare address
	To             []string      // bare addresses, at least one
}

// Deliver implements Deliverer.
func (m Mail) Deliver(ctx context.Context, changes []Alert) error {
	if err := m.send(ctx, m.compose(changes, time.Now())); err != nil {
		return fmt.Errorf("send mail by %s: %w", m.Server, err)
	}
	return nil
}

func (m Mail) send(ctx context.Context, message []byte) error {
	dialer := net.Dialer{Timeout: m.ConnectTimeout}
	if dialer.Timeout == 0 {
		dialer.Timeout = 30 * time.Second
	}
	conn, err := dialer.DialContext(ctx, "tcp", m.Server)
	if err != nil {
		return err
	}
	defer conn.Close()
	// net/smtp knows no context: the end of ctx ends what it waits for.
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(0, 1)) })()

	host, _, err := net.SplitHostPort(m.Server)
	if err != nil {
		return err
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return err
	}
	if m.Hello != "" {
		if err := c.Hello(m.Hello); err != nil {
			return err
		}
	}
	if err := c.Mail(m.From); err != nil {
		return err
	}
	for _, to := range m.To {
		if err := c.Rcpt(to); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(message); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	// The relay has taken the mail: what it says now changes nothing.
	_ = c.Quit()
	return nil
}

// compose writes the mail (RFC 5322).
func (m Mail) compose(changes []Alert, now time.Time) []byte {
	var b bytes.Buffer
	header := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, oneLine(value)) }
	header("From", m.From)
	header("To", strings.Join(m.To, ", "))
	header("Subject", mime.QEncoding.Encode("utf-8", oneLine(subject(changes))))
	header("Date", now.Format(time.RFC1123Z))
	header("Message-ID", "<"+rand.Text()+"@hacluster>")
	header("Auto-Submitted", "auto-generated") // RFC 3834: no answers by machines
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	for i, a := range changes {
		if i > 0 {
			_, _ = io.WriteString(w, "\n")
		}
		_, _ = io.WriteString(w, paragraph(a))
	}
	_ = w.Close() // a bytes.Buffer takes all
	return b.Bytes()
}

func subject(changes []Alert) string {
	worst := changes[0]
	for _, a := range changes {
		if a.Severity > worst.Severity {
			worst = a
		}
	}
	s := fmt.Sprintf("[%s] %s: %s", worst.Node, worst.Kind, worst.Summary)
	if !worst.Open() && worst.Resolved != worst.Since {
		s = fmt.Sprintf("[%s] resolved: %s: %s", worst.Node, worst.Kind, worst.Summary)
	}
	if n := len(changes) - 1; n > 0 {
		s += fmt.Sprintf(" (and %d more)", n)
	}
	return s
}

func paragraph(a Alert) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", strings.ToUpper(a.Severity.String()), a.Summary)
	fmt.Fprintf(&b, "  kind      %s\n  node      %s\n", a.Kind, a.Node)
	if a.Unit != "" {
		fmt.Fprintf(&b, "  unit      %s\n", a.Unit)
	}
	fmt.Fprintf(&b, "  since     %s\n", timestamp(a.Since))
	if !a.Open() && a.Resolved != a.Since {
		fmt.Fprintf(&b, "  resolved  %s, after %s\n", timestamp(a.Resolved), a.Resolved.Sub(a.Since).Round(time.Millisecond))
	}
	for _, e := range a.Evidence {
		fmt.Fprintf(&b, "  seen      %s\n", e)
	}
	if a.Remedy != "" {
		fmt.Fprintf(&b, "  do        %s\n", a.Remedy)
	}
	return b.String()
}

// oneLine keeps a value from ending its header.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
