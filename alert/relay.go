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

// Relay is a mail server that takes mail without authentication, as
// keepalived's smtp_server, with the envelope of what it is given.
type Relay struct {
	Server         string        // host:port
	Hello          string        // name for HELO; empty: localhost
	ConnectTimeout time.Duration // 0: 30 s
	From           string        // bare address
	To             []string      // bare addresses, at least one
}

// mail sends one mail.
func (r Relay) mail(ctx context.Context, subject, body string) error {
	if err := r.send(ctx, r.compose(subject, body, time.Now())); err != nil {
		return fmt.Errorf("send mail by %s: %w", r.Server, err)
	}
	return nil
}

func (r Relay) send(ctx context.Context, message []byte) error {
	dialer := net.Dialer{Timeout: r.ConnectTimeout}
	if dialer.Timeout == 0 {
		dialer.Timeout = 30 * time.Second
	}
	conn, err := dialer.DialContext(ctx, "tcp", r.Server)
	if err != nil {
		return err
	}
	defer conn.Close()
	// net/smtp knows no context: the end of ctx ends what it waits for.
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(0, 1)) })()

	host, _, err := net.SplitHostPort(r.Server)
	if err != nil {
		return err
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return err
	}
	if r.Hello != "" {
		if err := c.Hello(r.Hello); err != nil {
			return err
		}
	}
	if err := c.Mail(r.From); err != nil {
		return err
	}
	for _, to := range r.To {
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
func (r Relay) compose(subject, body string, now time.Time) []byte {
	var b bytes.Buffer
	header := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, oneLine(value)) }
	header("From", r.From)
	header("To", strings.Join(r.To, ", "))
	header("Subject", mime.QEncoding.Encode("utf-8", oneLine(subject)))
	header("Date", now.Format(time.RFC1123Z))
	header("Message-ID", "<"+rand.Text()+"@hacluster>")
	header("Auto-Submitted", "auto-generated") // RFC 3834: no answers by machines
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	_, _ = io.WriteString(w, body)
	_ = w.Close() // a bytes.Buffer takes all
	return b.Bytes()
}

// andMore tells how many others a subject stands for.
func andMore(subject string, others int) string {
	if others == 0 {
		return subject
	}
	return fmt.Sprintf("%s (and %d more)", subject, others)
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
