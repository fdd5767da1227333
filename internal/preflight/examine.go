package preflight

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Times of an examination, from its start. The first pause lets all nodes listen.
const (
	sendFirst = 500 * time.Millisecond
	sendEvery = 300 * time.Millisecond
	sendTimes = 3

	// ShortWindow is the least time in which nodes that begin within half a second
	// of each other hear all that the others send.
	ShortWindow = sendFirst + (sendTimes-1)*sendEvery + 400*time.Millisecond
)

// Examine sends and listens on all networks at once until the window is over.
// What could not be tested is among the findings.
func Examine(ctx context.Context, p Plan) Report {
	ctx, cancel := context.WithTimeout(ctx, p.Window)
	defer cancel()
	networks := slices.Clone(p.Networks)
	for i := range networks {
		networks[i].DropsOwn = !networks[i].IPv6 && dropsOwn("/", networks[i].Interface)
	}
	r := &collector{report: Report{Node: p.Node, Networks: networks, Peers: p.Peers, Findings: slices.Clone(p.Findings)}}
	r.machine()
	var wg sync.WaitGroup
	for _, n := range p.Networks {
		wg.Go(func() { // ends with the window
			if err := examineNetwork(ctx, &p, n, r); err != nil {
				r.cannot(p.Node, n, err)
			}
		})
		if len(n.VIPs) > 0 {
			wg.Go(func() { // ends with the window
				if err := ask(ctx, n, p.Peers, r); err != nil {
					r.cannot(p.Node, n, err)
				}
			})
		}
	}
	if p.Trial != nil {
		wg.Go(func() { // ends with the window
			tried := try(ctx, &p)
			r.add(func(r *Report) { r.Tries, r.Tried = true, tried })
		})
	}
	wg.Wait()
	r.report.At = time.Now()
	return r.report
}

// collector gathers what several goroutines find.
type collector struct {
	mu     sync.Mutex
	report Report // guarded by mu
}

func (c *collector) add(f func(*Report)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.report)
}

// machine notes the addresses of this machine.
func (c *collector) machine() {
	interfaces, err := net.Interfaces()
	if err != nil {
		return
	}
	for _, ifi := range interfaces {
		if len(ifi.HardwareAddr) > 0 {
			c.report.MACs = append(c.report.MACs, ifi.HardwareAddr.String())
		}
		addrs, err := ifi.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				c.report.Addrs = append(c.report.Addrs, p.Addr())
			}
		}
	}
}

// cannot notes a network that could not be tested, once. Where the interface does not
// exist the machine's own finding says it (Machine).
func (c *collector) cannot(node string, n Network, err error) {
	if _, missing := net.InterfaceByName(n.Interface); missing != nil {
		return
	}
	f := Finding{
		Severity: Error, Check: "l2", Node: node,
		Summary: fmt.Sprintf("%s of %s cannot be tested: %v", n.Interface, node, err),
		Remedy:  "haclusterd needs CAP_NET_RAW, and the interface an address of its own",
	}
	c.add(func(r *Report) {
		if !slices.ContainsFunc(r.Findings, func(g Finding) bool { return g.Summary == f.Summary }) {
			r.Findings = append(r.Findings, f)
		}
	})
}

// examineNetwork sends test datagrams on one network, and notes what arrives of
// protocol 112.
func examineNetwork(ctx context.Context, p *Plan, n Network, c *collector) error {
	s, err := openSocket(n)
	if err != nil {
		return err
	}
	defer s.Close()
	if d, ok := ctx.Deadline(); ok {
		if err := s.SetReadDeadline(d); err != nil {
			return err
		}
	}
	sent := make(chan error, 1)
	go func() { sent <- sendTests(ctx, p, n, s) }() // ends with the window
	buf := make([]byte, 2048)
	for {
		size, from, err := s.Read(buf)
		if err != nil {
			break // the window is over
		}
		if d, err := decode(buf[:size]); err == nil {
			if d.Session == p.Session && d.From != p.Node {
				c.add(func(r *Report) { r.hear(Heard{d.From, n.Interface, n.IPv6, d.Kind}) })
			}
			continue
		}
		if router, ok := readAdvert(buf[:size]); ok {
			router.Interface, router.IPv6, router.Source = n.Interface, n.IPv6, from
			c.add(func(r *Report) { r.meet(router) })
		}
	}
	return <-sent
}

// sendTests sends to the group and to each member that has an address there.
func sendTests(ctx context.Context, p *Plan, n Network, s *socket) error {
	var failed error
	for i := range sendTimes {
		wait := sendEvery
		if i == 0 {
			wait = sendFirst
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return failed
		}
		if !n.Unicast {
			if err := s.Send(datagram{p.Session, Multicast, p.Node}.encode(), n.Group); err != nil {
				failed = err
			}
		}
		for _, peer := range p.Peers {
			for _, a := range peer.Addrs {
				if a.Is6() == n.IPv6 && s.near(a) {
					// A neighbour that is away makes it fail; its report says the same.
					_ = s.Send(datagram{p.Session, Unicast, p.Node}.encode(), a)
				}
			}
		}
	}
	return failed
}

// hear notes each way once.
func (r *Report) hear(h Heard) {
	if !slices.Contains(r.Heard, h) {
		r.Heard = append(r.Heard, h)
	}
}

// maxRouters bounds what is noted of one network with many.
const maxRouters = 1024

func (r *Report) meet(router Router) {
	if !slices.Contains(r.Routers, router) && len(r.Routers) < maxRouters {
		r.Routers = append(r.Routers, router)
	}
}

// readAdvert reads what tells one virtual router from another (RFC 9568 section
// 5.2, RFC 3768 section 5.3).
func readAdvert(b []byte) (Router, bool) {
	if len(b) < headerSize || b[0]&0x0f != 1 || b[1] == 0 {
		return Router{}, false
	}
	return Router{Version: int(b[0] >> 4), VRID: int(b[1]), Priority: int(b[2])}, true
}

func join(words []string) string { return strings.Join(words, ", ") }
