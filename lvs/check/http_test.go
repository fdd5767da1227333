package check

import (
	"bufio"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
)

// web answers a request with a text, and closes.
func web(answer string) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.WriteString(c, answer)
		}
	}
}

// page is an HTTP answer with a body.
func page(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func digest(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

func TestHTTPJudgesTheAnswer(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	match := regexp.MustCompile
	tests := []struct {
		name   string
		answer string
		url    URL
		up     bool
		want   string
	}{
		{name: "200", answer: page("hello"), up: true, want: "status 200"},
		{name: "204", answer: "HTTP/1.1 204 No Content\r\n\r\n", up: true},
		{name: "301 is not what is wanted", answer: "HTTP/1.1 301 Moved\r\nLocation: /x\r\n\r\n", want: "status 301, want 200-299"},
		{name: "503", answer: "HTTP/1.0 503 Service Unavailable\r\n\r\n", want: "status 503, want 200-299"},
		{name: "code of a range", answer: "HTTP/1.1 404 Not Found\r\n\r\n", url: URL{Status: []StatusRange{{200, 200}, {400, 404}}}, up: true},
		{name: "code of no range", answer: "HTTP/1.1 405 No\r\n\r\n", url: URL{Status: []StatusRange{{200, 200}, {400, 404}}}, want: "status 405, want 200 400-404"},
		{name: "after interim answers", answer: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + page("hello"), up: true, want: "status 200"},
		{name: "digest", answer: page("hello"), url: URL{Digest: "5D41402ABC4B2A76B9719D911017C592"}, up: true, want: "digest as wanted"},
		{name: "other digest", answer: page("hallo"), url: URL{Digest: digest("hello")},
			want: "the digest of the body (5 bytes) is 598d4c200461b81522a3328565c25f7c, want 5d41402abc4b2a76b9719d911017c592"},
		{name: "digest of a body that ends with the connection", answer: "HTTP/1.0 200 OK\r\n\r\nhello", url: URL{Digest: digest("hello")}, up: true},
		{name: "digest of chunks", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", url: URL{Digest: digest("hello")}, up: true},
		{name: "digest of a megabyte", answer: page(big), url: URL{Digest: digest(big)}, up: true},
		{name: "digest of nothing", answer: page(""), url: URL{Digest: digest("")}, up: true},
		{name: "shorter than it said", answer: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", up: true},
		{name: "digest of what is shorter than it said", answer: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", url: URL{Digest: digest("hello123")}, want: "(5 bytes)"},
		{name: "pattern", answer: page("state: ready"), url: URL{Pattern: match(`state: (ready|busy)`)}, up: true, want: "content as wanted"},
		{name: "no pattern", answer: page("state: broken"), url: URL{Pattern: match(`state: ready`)}, want: `the body (13 bytes) does not have "state: ready"`},
		{name: "pattern that must not be", answer: page("PHP Fatal error"), url: URL{Pattern: match(`Fatal`), NoMatch: true}, want: `the body has "Fatal", which it must not`},
		{name: "pattern that is not", answer: page("fine"), url: URL{Pattern: match(`Fatal`), NoMatch: true}, up: true},
		{name: "pattern in a megabyte", answer: page(big[3:] + "end"), url: URL{Pattern: match(`fend`)}, up: true},
		{name: "pattern after a megabyte", answer: page(big + "end"), url: URL{Pattern: match(`fend`)}, want: "does not have"},
		{name: "pattern after a megabyte that is left out", answer: page(big + "end"), url: URL{Pattern: match(`end`), MinOffset: 9}, up: true},
		{name: "pattern and digest", answer: page("hello"), url: URL{Pattern: match(`l`), Digest: digest("hello")}, up: true},
		{name: "pattern before regex_min_offset", answer: page("ready, not"), url: URL{Pattern: match(`ready`), MinOffset: 1}, want: "does not have"},
		{name: "pattern after regex_min_offset", answer: page("ready, ready"), url: URL{Pattern: match(`ready`), MinOffset: 1}, up: true},
		{name: "regex_min_offset beyond the body", answer: page("x"), url: URL{Pattern: match(`.*`), MinOffset: 5}, want: "does not have"},
		{name: "pattern below regex_max_offset", answer: page("0123ready"), url: URL{Pattern: match(`ready`), MinOffset: 2, MaxOffset: 5}, up: true},
		{name: "pattern at regex_max_offset", answer: page("01234ready"), url: URL{Pattern: match(`ready`), MinOffset: 2, MaxOffset: 5}, want: "does not have"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.url.Path = "/"
			want(t, HTTP{Target: serve(t, web(test.answer)), URLs: []URL{test.url}}, test.up, test.want)
		})
	}
}

func TestHTTPRequest(t *testing.T) {
	target := Target{Addr: netip.MustParseAddrPort("192.0.2.7:8080")}
	const agent = "User-Agent: KeepAliveClient (haclusterd)\r\n"
	tests := []struct {
		name  string
		check HTTP
		url   URL
		want  string
	}{
		{"1.0", HTTP{Target: target}, URL{Path: "/status?x=1"}, "GET /status?x=1 HTTP/1.0\r\nHost: 192.0.2.7:8080\r\n" + agent + "\r\n"},
		{"1.0C", HTTP{Target: target, Protocol: HTTP10Close}, URL{Path: "/"}, "GET / HTTP/1.0\r\nHost: 192.0.2.7:8080\r\n" + agent + "Connection: close\r\n\r\n"},
		{"1.1", HTTP{Target: target, Protocol: HTTP11}, URL{Path: "/"}, "GET / HTTP/1.1\r\nHost: 192.0.2.7:8080\r\n" + agent + "Connection: close\r\n\r\n"},
		{"virtualhost", HTTP{Target: target, VirtualHost: "www.example"}, URL{Path: "/"}, "GET / HTTP/1.0\r\nHost: www.example\r\n" + agent + "\r\n"},
		{"virtualhost of the url", HTTP{Target: target, VirtualHost: "www.example"}, URL{Path: "/", VirtualHost: "api.example"}, "GET / HTTP/1.0\r\nHost: api.example\r\n" + agent + "\r\n"},
		{"IPv6", HTTP{Target: Target{Addr: netip.MustParseAddrPort("[fe80::7%eth0]:80")}}, URL{Path: "/"}, "GET / HTTP/1.0\r\nHost: [fe80::7]:80\r\n" + agent + "\r\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.check.request(test.url); got != test.want {
				t.Errorf("request = %q\nwant      %q", got, test.want)
			}
		})
	}
}

func TestHTTPFetchesAllURLsInTurn(t *testing.T) {
	paths := make(chan string, 3)
	target := serve(t, func(c net.Conn) {
		request, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		paths <- request.URL.Path
		status := "200 OK"
		if request.URL.Path == "/bad" {
			status = "500 Oops"
		}
		_, _ = io.WriteString(c, "HTTP/1.0 "+status+"\r\n\r\n")
	})
	wantUp(t, HTTP{Target: target, URLs: []URL{{Path: "/1"}, {Path: "/2"}}}, "all 2 urls are as they should be")
	if a, b := <-paths, <-paths; a != "/1" || b != "/2" {
		t.Errorf("fetched %s, %s; want /1, /2", a, b)
	}
	bad := HTTP{Target: target, VirtualHost: "www.example", URLs: []URL{{Path: "/1"}, {Path: "/bad"}, {Path: "/2"}}}
	wantDown(t, bad, "http://www.example/bad: status 500, want 200-299")
	if len(paths) != 2 {
		t.Errorf("%d urls fetched, want 2: the first that fails ends the attempt", len(paths))
	}
	wantUp(t, HTTP{Target: target}, "no url to fetch")
}

func TestHTTPSurvivesBadServers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	drip := func(start, each string) func(net.Conn) { // a piece each 50 ms, without end
		return func(c net.Conn) {
			_, _ = io.WriteString(c, start)
			for {
				if _, err := io.WriteString(c, each); err != nil {
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
		}
	}
	after := func(start string, f func(net.Conn)) func(net.Conn) {
		return func(c net.Conn) {
			web(start)(c)
			f(c)
		}
	}
	reset := func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }
	endless := func(text string) func(net.Conn) { return func(c net.Conn) { flood(c, text) } }
	tests := []struct {
		name   string
		server func(net.Conn)
		digest string
		up     bool
		slow   bool // until time is up
		want   string
	}{
		{name: "closes without an answer", server: web(""), want: "the server closed the connection"},
		{name: "resets", server: after("", reset), want: "connection reset by the server"},
		{name: "silent", server: hold, slow: true, want: "its answer is not there within 1s"},
		{name: "not HTTP", server: web("SSH-2.0-OpenSSH_9.2\r\n"), want: "the answer is not HTTP: malformed HTTP"},
		{name: "garbage", server: web("\x00\xff\x16\r\n\r\n"), want: "the answer is not HTTP"},
		{name: "header without end", server: after(ok, endless("X-Junk: y\r\n")), want: "the server sends a header of more than 64 KiB"},
		{name: "header line without end", server: after(ok+"X-Junk: ", endless("y")), want: "the server sends a header of more than 64 KiB"},
		{name: "status line without end", server: after("HTTP/1.1 200 ", endless("y")), want: "the server sends a header of more than 64 KiB"},
		{name: "interim answers without end", server: endless("HTTP/1.1 103 Early Hints\r\n\r\n"), want: "the server sends more than 8 interim answers"},
		{name: "closes within the header", server: web(ok + "X-Half: "), want: "the server closed the connection"},
		{name: "slow header", server: drip(ok, "X: y\r\n"), slow: true, want: "its answer is not there within"},
		{name: "slow body", server: drip(ok+"\r\n", "y"), slow: true, want: "its answer is not there within"},
		{name: "body that stops", server: after(ok+"Content-Length: 9\r\n\r\nhel", hold), slow: true, want: "its answer is not there within 1s"},
		{name: "body that is reset", server: after(ok+"Content-Length: 9\r\n\r\nhel", reset), want: "connection reset by the server"},
		{name: "body without end", server: after(ok+"\r\n", endless("y")), up: true, want: "status 200"},
		{name: "digest of a body without end", server: after(ok+"\r\n", endless("y")), digest: digest(""), want: "the server sends a body of more than 16384 KiB"},
		{name: "chunks that are none", server: web(ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\n"), want: "body: "},
		{name: "chunk that is too long for anybody", server: web(ok + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n"), want: "body: "},
		{name: "two lengths", server: web(ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"), want: "the answer is not HTTP"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			target := serve(t, test.server)
			if test.slow {
				target = target.within(brief)
			}
			start := time.Now()
			want(t, HTTP{Target: target, URLs: []URL{{Path: "/", Digest: test.digest}}}, test.up, test.want)
			if took := time.Since(start); test.slow && took > (1+answerTimeouts)*brief+patience/2 {
				t.Errorf("took %s", took)
			}
		})
	}
	t.Run("accepted by the kernel alone", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		hung := Target{Addr: addrPort(l.Addr()), Timeout: brief}
		wantDown(t, HTTP{Target: hung, URLs: []URL{{Path: "/"}}}, "its answer is not there within 1s")
	})
	t.Run("nobody listens", func(t *testing.T) {
		wantDown(t, HTTP{Target: nobody(t), URLs: []URL{{Path: "/"}}}, "connection refused")
	})
}

func TestCompilePattern(t *testing.T) {
	tests := []struct {
		pattern string
		options []string
		matches string
		want    string // of the error
	}{
		{pattern: "ready", matches: "is ready"},
		{pattern: "READY.$", options: []string{"caseless", "dotall", "utf"}, matches: "ready\n"},
		{pattern: "^ready$", options: []string{"multiline", "ungreedy"}, matches: "a\nready\nb"},
		{pattern: "x", options: []string{"extended"}, want: "regex_options extended is not supported; use caseless"},
		{pattern: "(?=x)", want: "no look-around"},
	}
	for _, test := range tests {
		re, err := CompilePattern(test.pattern, test.options)
		switch {
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%q %v: %v, want %s", test.pattern, test.options, err, test.want)
		case test.want == "" && err != nil:
			t.Errorf("%q %v: %v", test.pattern, test.options, err)
		case test.want == "" && !re.MatchString(test.matches):
			t.Errorf("%q %v does not match %q", test.pattern, test.options, test.matches)
		}
	}
}

func FuzzHTTPAnswer(f *testing.F) {
	for _, s := range []string{page("hello"), "HTTP/1.1 100 C\r\n\r\n" + page(""), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n\r\n", "SSH", "HTTP/1.1 101 S\r\n\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		c := HTTP{Target: Target{Addr: netip.MustParseAddrPort("192.0.2.7:80")}}
		conn := fakeConn{strings.NewReader(answer)}
		_, err := c.talk1(conn, URL{Path: "/", Pattern: regexp.MustCompile("l+")})
		if err == nil && !strings.Contains(answer, "l") {
			t.Errorf("%q is taken for good", answer)
		}
	})
}

// fakeConn reads a text and takes all that is written.
type fakeConn struct{ io.Reader }

func (fakeConn) Write(b []byte) (int, error)        { return len(b), nil }
func (fakeConn) Close() error                       { return nil }
func (fakeConn) LocalAddr() net.Addr                { return nil }
func (fakeConn) RemoteAddr() net.Addr               { return nil }
func (fakeConn) SetDeadline(time.Time) error        { return nil }
func (fakeConn) SetReadDeadline(t time.Time) error  { return nil }
func (fakeConn) SetWriteDeadline(t time.Time) error { return nil }
