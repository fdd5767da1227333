//go:build guest

package ipvs_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/hacluster/hacluster/internal/realserver"
	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/ipvs"
)

// place is a network namespace.
type place struct {
	t  *testing.T
	ns netns.NsHandle
}

// newPlace makes one with lo up.
func newPlace(t *testing.T) place {
	t.Helper()
	p := place{t: t}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		var err error
		p.ns, err = netns.New()
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.ns.Close() })
	p.do(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	return p
}

// do runs f there, and fails the test with its error.
func (p place) do(f func() error) {
	p.t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if err := netns.Set(p.ns); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	if err := <-done; err != nil {
		p.t.Fatal(err)
	}
}

// connect joins two places by a cable with an address at each end.
func connect(a place, nameA, addrA string, b place, nameB, addrB string) {
	a.t.Helper()
	a.do(func() error {
		cable := netlink.NewVeth(netlink.LinkAttrs{Name: nameA})
		cable.PeerName, cable.PeerNamespace = nameB, netlink.NsFd(b.ns)
		return netlink.LinkAdd(cable)
	})
	for _, end := range []struct {
		place
		name, addr string
	}{{a, nameA, addrA}, {b, nameB, addrB}} {
		end.do(func() error {
			link, err := netlink.LinkByName(end.name)
			if err != nil {
				return err
			}
			addr, err := netlink.ParseAddr(end.addr)
			if err != nil {
				return err
			}
			if err := netlink.AddrAdd(link, addr); err != nil {
				return err
			}
			return netlink.LinkSetUp(link)
		})
	}
}

// route sends what is for a prefix to a gateway.
func (p place) route(prefix, gateway string) {
	p.t.Helper()
	p.do(func() error {
		dst, err := netlink.ParseIPNet(prefix)
		if err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{Dst: dst, Gw: net.ParseIP(gateway)}) //nolint:forbidigo // the library's type
	})
}

func (p place) set(name, value string) {
	p.t.Helper()
	p.do(func() error { return os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0) })
}

// The real server filters strictly: what comes out of the tunnel is from a client
// whose way back is another interface.
func TestRealServerThatIsUpTakesWhatTheDirectorTunnels(t *testing.T) {
	// The guest's kernel gives tunl0 to its first namespace only, unless told otherwise.
	if err := os.WriteFile("/proc/sys/net/core/fb_tunnels_only_for_init_net", []byte("0"), 0); err != nil {
		t.Fatal(err)
	}
	client, director, real := newPlace(t), newPlace(t), newPlace(t)
	connect(client, "c0", "10.2.0.1/24", director, "d0", "10.2.0.2/24")
	connect(director, "d1", "10.1.0.1/24", real, "r0", "10.1.0.2/24")
	connect(real, "r1", "10.3.0.2/24", client, "c1", "10.3.0.1/24")
	client.route("192.0.2.1/32", "10.2.0.2")
	real.route("10.2.0.0/24", "10.3.0.1")
	director.set("ip_forward", "1")
	for _, name := range []string{"all", "default"} {
		real.set("conf/"+name+"/rp_filter", "1")
	}

	vip := netip.MustParseAddr("192.0.2.1")
	dir := t.TempDir()
	real.do(func() error {
		m, err := realserver.Open(dir)
		if err != nil {
			return err
		}
		defer m.Close()
		return m.Up(t.Context(), vip, "tunl0")
	})
	real.do(func() error {
		l, err := net.Listen("tcp", "192.0.2.1:80")
		if err != nil {
			return err
		}
		t.Cleanup(func() { l.Close() })
		go func() { // ends with the listener
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				fmt.Fprint(c, "real")
				c.Close()
			}
		}()
		return nil
	})
	director.do(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		addr, err := netlink.ParseAddr("192.0.2.1/32")
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(lo, addr); err != nil {
			return err
		}
		k, err := ipvs.Open(t.Context())
		if err != nil {
			return err
		}
		defer k.Close()
		key := tcp("192.0.2.1:80")
		refused, err := k.Write(t.Context(), []lvs.Op{
			lvs.AddService{Key: key, Settings: lvs.Settings{Scheduler: "rr"}},
			lvs.AddServer{Key: key, Server: lvs.Server{Address: addr80("10.1.0.2"), Method: lvs.TUN, Weight: 1}},
		})
		if len(refused) > 0 {
			return refused[0]
		}
		return err
	})
	client.do(func() error {
		c, err := net.DialTimeout("tcp", "192.0.2.1:80", 10*time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return err
		}
		if b, err := io.ReadAll(c); err != nil || string(b) != "real" {
			return fmt.Errorf("the answer is %q, %v", b, err)
		}
		return nil
	})
	real.do(func() error {
		m, err := realserver.Open(dir)
		if err != nil {
			return err
		}
		defer m.Close()
		if s, err := m.Status(vip); err != nil || len(s.Problems) > 0 || s.Device != "tunl0" {
			return fmt.Errorf("status %+v, %v", s, err)
		}
		if err := m.Down(vip); err != nil {
			return err
		}
		link, err := netlink.LinkByName("tunl0")
		if err == nil && link.Attrs().Flags&net.FlagUp != 0 {
			err = fmt.Errorf("tunl0 is left up; told %q", m.Told())
		}
		return err
	})
}

func addr80(host string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(host), 80) }
