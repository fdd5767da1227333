//go:build guest

package balance_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/hacluster/hacluster/e2e/lab"
)

// goodPage is what a web server's page says when all is well.
const goodPage = "all is well\n"

// webServer is a web server that says its node's name at /, has a page at /page, and
// answers /status with a status.
type webServer struct {
	node   *lab.Node
	secure *httptest.Server

	mu     sync.Mutex
	page   string // guarded by mu
	status int    // guarded by mu
}

// serveWeb serves HTTP on port 80 and HTTPS on port 8443 of a node.
func serveWeb(t *testing.T, n *lab.Node) *webServer {
	t.Helper()
	w := &webServer{node: n, page: goodPage, status: http.StatusOK}
	plain := &httptest.Server{Listener: listen(t, n, "80"), Config: &http.Server{Handler: w}}
	plain.Start()
	t.Cleanup(plain.Close)
	w.startSecure(t)
	t.Cleanup(func() { w.secure.Close() })
	return w
}

// startSecure opens port 8443.
func (w *webServer) startSecure(t *testing.T) {
	t.Helper()
	w.secure = &httptest.Server{Listener: listen(t, w.node, "8443"), Config: &http.Server{Handler: w}}
	w.secure.StartTLS()
}

// say changes the page and the status.
func (w *webServer) say(page string, status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.page, w.status = page, status
}

func (w *webServer) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	page, status := w.page, w.status
	w.mu.Unlock()
	switch r.URL.Path {
	case "/page":
		_, _ = io.WriteString(out, page)
	case "/status":
		out.WriteHeader(status)
	default:
		_, _ = io.WriteString(out, w.node.Name)
	}
}

// browse asks a web service for who answers.
func browse(from *lab.Node, source netip.Addr, scheme string, to netip.AddrPort) (string, error) {
	client := http.Client{Timeout: attempt, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // the name in it is another one's
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return dial(from, source, to) },
	}}
	r, err := client.Get(fmt.Sprintf("%s://%v/", scheme, to))
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return string(b), err
}

// wantBrowsed waits until a web service is answered by one of these.
func (s *site) wantBrowsed(scheme string, to netip.AddrPort, want string) {
	s.t.Helper()
	lab.Want(s.t, within, fmt.Sprintf("%s: %s://%v is answered by %s", s.now, scheme, to, want), func() (string, bool) {
		who, err := browse(s.client, netip.Addr{}, scheme, to)
		if err != nil {
			return err.Error(), false
		}
		return who, who != "" && strings.Contains(want, who)
	})
}

// serveMail greets as a mail server does, until the listener is closed.
func serveMail(t *testing.T, n *lab.Node) net.Listener {
	t.Helper()
	l := listen(t, n, "25")
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go greet(c, n.Name) // ends with the connection
		}
	}()
	return l
}

func greet(c net.Conn, name string) {
	defer c.Close()
	fmt.Fprintf(c, "220 %s\r\n", name)
	for in := bufio.NewScanner(c); in.Scan(); {
		if strings.HasPrefix(in.Text(), "QUIT") {
			fmt.Fprint(c, "221 bye\r\n")
			return
		}
		fmt.Fprintf(c, "250 %s\r\n", name)
	}
}
