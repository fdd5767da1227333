package check

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
)

// mail speaks SMTP: the greeting, then an answer for each line.
func mail(heard chan<- string, greeting string, answers ...string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, greeting)
		in := bufio.NewReader(c)
		for _, answer := range answers {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			select {
			case heard <- strings.TrimSpace(line):
			default:
			}
			_, _ = io.WriteString(c, answer)
		}
	}
}

func TestSMTP(t *testing.T) {
	tests := []struct {
		name    string
		server  func(net.Conn)
		timeout bool
		up      bool
		want    string
	}{
		{name: "fine", server: mail(nil, "220 mx\r\n", "250 hello\r\n", "221 bye\r\n"), up: true, want: "greets and takes HELO"},
		{name: "replies of several lines", server: mail(nil, "220-mx\r\n220 ready\r\n", "250-hello\r\n250-SIZE\r\n250\r\n", "221 bye\n"), up: true},
		{name: "busy", server: mail(nil, "421 too many connections\r\n"), want: `greeting: the server says "421 too many connections", want 220`},
		{name: "no HELO", server: mail(nil, "220 mx\r\n", "550 go away\r\n"), want: `HELO: the server says "550 go away", want 250`},
		{name: "no QUIT", server: mail(nil, "220 mx\r\n", "250 hello\r\n", "500 what?\r\n"), want: `QUIT: the server says "500 what?", want 221`},
		{name: "not SMTP", server: mail(nil, "SSH-2.0-OpenSSH_9.2\r\n"), want: `greeting: the server says "SSH-2.0-OpenSSH_9.2", which is no SMTP reply`},
		{name: "gone after the greeting", server: mail(nil, "220 mx\r\n"), want: "HELO: "},
		{name: "gone at once", server: func(net.Conn) {}, want: "greeting: the server closed the connection"},
		{name: "a line without end", server: func(c net.Conn) { flood(c, "220 x") }, want: "greeting: the server sends a line of more than 2048 bytes"},
		{name: "lines without end", server: func(c net.Conn) { flood(c, "220-x\r\n") }, want: "greeting: the server sends a reply of more than 100 lines"},
		{name: "silent", server: hold, timeout: true, want: "greeting: the server accepts the connection, but its answer is not there within 1s"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			target := serve(t, test.server)
			if test.timeout {
				target = target.within(brief)
			}
			want(t, SMTP{Target: target}, test.up, test.want)
		})
	}
	t.Run("nobody listens", func(t *testing.T) { wantDown(t, SMTP{Target: nobody(t)}, "connection refused") })
}

func TestSMTPHelo(t *testing.T) {
	for _, test := range []struct{ address, helo, want string }{
		{"127.0.0.1:0", "lb.example", "HELO lb.example"},
		{"127.0.0.1:0", "", "HELO [127.0.0.1]"},
		{"[::1]:0", "", "HELO [IPv6:::1]"},
	} {
		heard := make(chan string, 2)
		wantUp(t, SMTP{Target: serveOn(t, test.address, mail(heard, "220 mx\r\n", "250 hello\r\n", "221 bye\r\n")), Helo: test.helo}, "")
		if got := <-heard; got != test.want {
			t.Errorf("server hears %q, want %q", got, test.want)
		}
	}
}

// flood writes a text over and over until the other end is gone.
func flood(c net.Conn, text string) {
	b := []byte(strings.Repeat(text, 1+1<<16/len(text)))
	for {
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// hold says nothing until the other end is gone.
func hold(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

func FuzzSMTPReply(f *testing.F) {
	for _, s := range []string{"220 mx\r\n", "250-a\r\n250 b\r\n", "22", "220x\n", "-22 x\n", strings.Repeat("9", 4096)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		code, line, err := readReply(bufio.NewReaderSize(strings.NewReader(text), smtpLineLimit))
		if err == nil && (code < 100 || code > 999 || !strings.Contains(text, line)) {
			t.Errorf("code %d, line %q from %q", code, line, text)
		}
	})
}
