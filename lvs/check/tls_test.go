package check

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// certificate makes one for a name, self-signed.
func certificate(t testing.TB, name string, from, to time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: from, NotAfter: to,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// secure speaks TLS on a connection, then f.
func secure(config *tls.Config, f func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		s := tls.Server(c, config)
		if s.Handshake() == nil {
			f(s)
			_ = s.Close()
		}
	}
}

// serverConfig is that of a server whose certificate is valid.
func serverConfig(t testing.TB) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{valid(t)}}
}

// valid is a certificate of www.example that is valid now.
func valid(t testing.TB) tls.Certificate {
	return certificate(t, "www.example", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
}

func TestSSL(t *testing.T) {
	expired := certificate(t, "www.example", time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2020, 3, 1, 0, 0, 0, 0, time.UTC))
	future := certificate(t, "www.example", time.Date(2120, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2120, 3, 1, 0, 0, 0, 0, time.UTC))
	with := func(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }
	fine := with(valid(t))
	client := valid(t)
	asks := fine.Clone()
	asks.ClientAuth = tls.RequireAnyClientCert
	old := fine.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS10
	picky := &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName != "www.example" {
			return nil, errors.New("no such site")
		}
		return &client, nil
	}}
	failing := web("HTTP/1.1 500 Oops\r\n\r\n")
	tests := []struct {
		name   string
		server func(net.Conn)
		tls    TLS
		slow   bool
		up     bool
		want   string
	}{
		{name: "fine", server: secure(fine, web(page("hello"))), up: true, want: "status 200"},
		{name: "expired, which is not asked", server: secure(with(expired), web(page("hello"))), up: true, want: "status 200"},
		{name: "TLS 1.0", server: secure(old, web(page("hello"))), up: true},
		{name: "server name", server: secure(picky, web(page("hello"))), tls: TLS{ServerName: "www.example"}, up: true},
		{name: "no server name", server: secure(picky, web(page("hello"))), want: "TLS handshake: the server refuses: internal error (no server name was sent; enable_sni sends the virtualhost)"},
		{name: "client certificate", server: secure(asks, web(page("hello"))), tls: TLS{Certificate: &client}, up: true},
		{name: "no client certificate", server: secure(asks, web(page("hello"))), want: "the server refuses: certificate required (the SSL block can name a certificate of this client)"},
		{name: "bad status", server: secure(fine, failing), want: `status 500, want 200-299 (its certificate is of "www.example")`},
		{name: "expired, when the check fails", server: secure(with(expired), failing), want: "(its certificate is of \"www.example\", expired since 2020-03-01)"},
		{name: "not valid yet, when the check fails", server: secure(with(future), failing), want: "not valid before 2120-01-01"},
		{name: "of another name, when the check fails", server: secure(fine, failing), tls: TLS{ServerName: "api.example"}, want: "not for api.example)"},
		{name: "plain HTTP", server: func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.0 400 Bad Request\r\n\r\n"); hold(c) }, want: `TLS handshake: the server does not speak TLS, it begins with "HTTP/"`},
		{name: "garbage after a record header", server: func(c net.Conn) {
			_, _ = io.WriteString(c, "\x16\x03\x03\x00\x40"+strings.Repeat("\xaa", 64))
			hold(c)
		}, want: "TLS handshake: "},
		{name: "garbage without end", server: func(c net.Conn) { flood(c, "\x16\x03\x03\x40\x00"+strings.Repeat("\x0b", 16384)) }, want: "TLS handshake: "},
		{name: "closes at once", server: func(net.Conn) {}, want: "TLS handshake: "},
		{name: "resets", server: func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }, want: "connection reset by the server"},
		{name: "silent", server: hold, slow: true, want: "TLS handshake: the server accepts the connection, but its answer is not there within 1s"},
		{name: "silent after the handshake", server: secure(fine, hold), slow: true, want: "its answer is not there within 1s"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			target := serve(t, test.server)
			if test.slow {
				target = target.within(brief)
			}
			want(t, HTTP{Target: target, URLs: []URL{{Path: "/"}}, TLS: &test.tls}, test.up, test.want)
		})
	}
}

// tap keeps what is read from a connection.
type tap struct {
	net.Conn
	heard bytes.Buffer
}

func (c *tap) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.heard.Write(b[:n])
	return n, err
}

func TestTLSCompliantSaysGoodbye(t *testing.T) {
	// In TLS 1.2 the type of a record is not encrypted: 21 is an alert.
	config := &tls.Config{Certificates: []tls.Certificate{valid(t)}, MaxVersion: tls.VersionTLS12}
	alert := []byte{21, 3, 3}
	for _, test := range []struct{ checker, url, want bool }{{false, false, false}, {true, false, true}, {false, true, true}} {
		ended := make(chan bool, 1)
		target := serve(t, func(c net.Conn) {
			tapped := &tap{Conn: c}
			s := tls.Server(tapped, config)
			web(page("hello"))(s)
			_, _ = s.Read(make([]byte, 1))
			ended <- bytes.Contains(tapped.heard.Bytes(), alert)
		})
		wantUp(t, HTTP{Target: target, URLs: []URL{{Path: "/", TLSCompliant: test.url}}, TLS: &TLS{Compliant: test.checker}}, "")
		if got := <-ended; got != test.want {
			t.Errorf("tls_compliant of the checker %v, of the url %v: close_notify sent: %v", test.checker, test.url, got)
		}
	}
}

// serveHTTP2 is a real server of HTTP/2, with TLS if it has a certificate.
func serveHTTP2(t *testing.T, certificates ...tls.Certificate) Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, r.Proto+" "+r.Host+" "+r.URL.String()+" "+r.UserAgent())
		}),
		Protocols: new(http.Protocols),
		TLSConfig: &tls.Config{Certificates: certificates},
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if len(certificates) > 0 {
			_ = server.ServeTLS(l, "", "")
		} else {
			_ = server.Serve(l)
		}
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return Target{Addr: addrPort(l.Addr()), Timeout: patience}
}

func TestHTTP2(t *testing.T) {
	const said = "HTTP/2.0 www.example /a?b=c " + userAgent
	u := URL{Path: "/a?b=c", Digest: digest(said)}
	encrypted := serveHTTP2(t, valid(t))
	only1 := serve(t, secure(&tls.Config{Certificates: []tls.Certificate{valid(t)}, NextProtos: []string{"http/1.1"}}, hold))
	old := serve(t, secure(&tls.Config{Certificates: []tls.Certificate{valid(t)}}, hold))
	stalls := secure(&tls.Config{Certificates: []tls.Certificate{valid(t)}, NextProtos: []string{"h2"}}, func(c net.Conn) {
		_, _ = c.Write([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0}) // SETTINGS, and then nothing
		hold(c)
	})
	tests := []struct {
		name   string
		target Target
		tls    *TLS
		url    URL
		up     bool
		want   string
	}{
		{name: "with TLS", target: encrypted, tls: &TLS{}, url: u, up: true, want: "status 200, digest as wanted"},
		{name: "without TLS", target: serveHTTP2(t), url: u, up: true, want: "status 200, digest as wanted"},
		{name: "another digest", target: encrypted, tls: &TLS{}, url: URL{Path: "/", Digest: digest("")}, want: "the digest of the body"},
		{name: "refused by ALPN", target: only1, tls: &TLS{}, url: u, want: "no application protocol"},
		{name: "not offered", target: old, tls: &TLS{}, url: u, want: "the server does not offer HTTP/2 (h2) by ALPN"},
		{name: "server of HTTP/1", target: serve(t, web(page("hello"))), url: u},
		{name: "silent", target: serve(t, stalls).within(brief), tls: &TLS{}, url: u, want: "its answer is not there within 1s"},
		{name: "garbage", target: serve(t, func(c net.Conn) { flood(c, "garbage") }), url: u},
		{name: "goes away", target: serve(t, func(c net.Conn) { _, _ = bufio.NewReader(c).ReadByte() }), url: u},
		{name: "path that is none", target: encrypted, tls: &TLS{}, url: URL{Path: "x y"}, want: "path: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := HTTP{Target: test.target, URLs: []URL{test.url}, TLS: test.tls, Protocol: HTTP2, VirtualHost: "www.example"}
			want(t, c, test.up, test.want)
		})
	}
}

func TestHTTPEndsWithItsContext(t *testing.T) {
	for name, c := range map[string]HTTP{
		"plain":     {Target: serve(t, hold)},
		"handshake": {Target: serve(t, hold), TLS: &TLS{}},
		"HTTP/2":    {Target: serve(t, hold), Protocol: HTTP2},
	} {
		t.Run(name, func(t *testing.T) {
			c.URLs = []URL{{Path: "/"}}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			start := time.Now()
			r := c.Check(ctx)
			if took := time.Since(start); r.Up || took > patience/2 || !strings.Contains(r.Reason, "the check was stopped") {
				t.Errorf("%+v after %s", r, took)
			}
		})
	}
}
