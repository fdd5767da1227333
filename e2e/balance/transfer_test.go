//go:build guest

package balance_test

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// linePause is how long a talker waits between two lines.
const linePause = 20 * time.Millisecond

// talker is a server that says its node's name again and again on each connection
// until the client has heard enough.
type talker struct {
	t    *testing.T
	node *lab.Node
	port string

	mu       sync.Mutex
	listener net.Listener // guarded by mu
	open     []net.Conn   // guarded by mu
}

func talk(t *testing.T, n *lab.Node, port string) *talker {
	t.Helper()
	s := &talker{t: t, node: n, port: port}
	s.start()
	t.Cleanup(s.kill)
	return s
}

// start opens the port.
func (s *talker) start() {
	s.t.Helper()
	l := listen(s.t, s.node, s.port)
	s.mu.Lock()
	s.listener = l
	s.mu.Unlock()
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.open = append(s.open, c)
			s.mu.Unlock()
			go s.serve(c) // ends with the connection
		}
	}()
}

func (s *talker) serve(c net.Conn) {
	defer c.Close()
	for {
		if _, err := fmt.Fprintln(c, s.node.Name); err != nil {
			return
		}
		lab.During(linePause)
	}
}

// kill is the death of the program: its port and its connections are closed.
func (s *talker) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener.Close()
	for _, c := range s.open {
		c.Close()
	}
	s.open = nil
}

// attempt bounds one connection: what is lost in a fail-over is tried again.
const attempt = 5 * time.Second

// dial connects from a node; an invalid source is any.
func dial(from *lab.Node, source netip.Addr, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{Timeout: attempt}
	if source.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	}
	var c net.Conn
	err := from.Do(func() (err error) {
		c, err = d.Dial("tcp", to.String())
		return err
	})
	return c, err
}

// answer is the first line that a service says.
func answer(from *lab.Node, source netip.Addr, to netip.AddrPort) (string, error) {
	c, err := dial(from, source, to)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(attempt)); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line), err
}

// wantAnswers asks until each of these servers has answered.
func (s *site) wantAnswers(to netip.AddrPort, want ...string) {
	s.t.Helper()
	missing := make(map[string]bool)
	for _, name := range want {
		missing[name] = true
	}
	lab.Want(s.t, within, fmt.Sprintf("%s: %v is answered by %v", s.now, to, want), func() (string, bool) {
		who, err := answer(s.client, netip.Addr{}, to)
		if err != nil {
			return err.Error(), false
		}
		delete(missing, who)
		return who, len(missing) == 0
	})
}

// transfer is a connection on which a client hears a server.
type transfer struct {
	site   *site
	client netip.AddrPort

	mu    sync.Mutex
	from  string // guarded by mu
	lines int    // guarded by mu
	err   error  // why it ended; guarded by mu
}

// begin connects and listens until the server ends it, or the test.
func (s *site) begin(to netip.AddrPort) *transfer {
	s.t.Helper()
	c, err := dial(s.client, netip.Addr{}, to)
	if err != nil {
		s.t.Fatalf("%s: %v", s.now, err)
	}
	s.t.Cleanup(func() { c.Close() })
	x := &transfer{site: s, client: netip.MustParseAddrPort(c.LocalAddr().String())}
	go x.listen(c) // ends with the connection
	x.wantMore()
	return x
}

func (x *transfer) listen(c net.Conn) {
	in := bufio.NewScanner(c)
	for in.Scan() {
		x.mu.Lock()
		x.from = in.Text()
		x.lines++
		x.mu.Unlock()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err = in.Err(); x.err == nil {
		x.err = net.ErrClosed
	}
}

func (x *transfer) state() (lines int, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.lines, x.err
}

// wantMore waits until the transfer has gone on for a while.
func (x *transfer) wantMore() {
	x.site.t.Helper()
	const more = 20
	before, _ := x.state()
	lab.Want(x.site.t, within, x.site.now+": the transfer goes on", func() (string, bool) {
		lines, err := x.state()
		return fmt.Sprintf("%d lines after %d, %v", lines, before, err), lines >= before+more
	})
}

// wantBroken waits until the transfer has ended.
func (x *transfer) wantBroken() {
	x.site.t.Helper()
	lab.Want(x.site.t, within, x.site.now+": the transfer ends", func() (string, bool) {
		lines, err := x.state()
		return fmt.Sprintf("%d lines", lines), err != nil
	})
}
