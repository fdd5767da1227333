package gate

import (
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// S25: a router whose own slot is closed forwards packets to and from the machine that
// holds the address now, also when it knows the next hop already.
func TestForwardedPacketsAreNotTouched(t *testing.T) {
	client, router, holder := newMachine(t), newMachine(t), newMachine(t)
	cable(client, "eth0", router, "eth0")
	cable(router, "eth1", holder, "eth0")
	g := router.gate(nil)
	must(t, router.do(func() error {
		for _, file := range []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"} {
			if err := os.WriteFile(file, []byte("1"), 0); err != nil {
				return err
			}
		}
		return nil
	}))
	client.addr("eth0", peer4.String()+"/24")
	client.addr("eth0", peer6.String()+"/64")
	router.addr("eth0", own4.String()+"/24")
	router.addr("eth0", own6.String()+"/64")
	router.addr("eth1", "198.51.100.1/24")
	router.addr("eth1", "2001:db8:1::1/64")
	holder.addr("eth0", "198.51.100.2/24")
	holder.addr("eth0", "2001:db8:1::2/64")
	const remote4, remote6 = "203.0.113.100", "2001:db8:2::100"
	for _, m := range []struct {
		*machine
		dst, via string
	}{
		{router, remote4 + "/32", "198.51.100.2"}, {router, remote6 + "/128", "2001:db8:1::2"},
		{client, remote4 + "/32", own4.String()}, {client, remote6 + "/128", own6.String()},
		{holder, "192.0.2.0/24", "198.51.100.1"}, {holder, "2001:db8::/64", "2001:db8:1::1"},
	} {
		m.routeVia(m.dst, m.via)
	}
	holder.addr("eth0", remote4+"/32")
	holder.addr("eth0", remote6+"/128")
	guard(t, g, 0, remote4, remote6) // closed here, held there

	far, mac := client.wire("eth0"), router.link("eth0").Attrs().HardwareAddr
	v4, v6 := netip.MustParseAddr(remote4), netip.MustParseAddr(remote6)
	for _, hop := range []string{"unknown", "known"} {
		far.wantAnswer("echo through the router, next hop "+hop, eth(mac, far.mac, 0x0800, echo4(peer4, v4)), isFrom4(1, v4), true)
		far.wantAnswer("echo6 through the router, next hop "+hop, eth(mac, far.mac, 0x86dd, echo6(peer6, v6)), isFrom6(58, v6), true)
	}

	// Were it here, it would not answer.
	router.addr("eth1", remote4+"/32")
	router.addr("eth1", remote6+"/128")
	far.wantAnswer("echo to the router", eth(mac, far.mac, 0x0800, echo4(peer4, v4)), isFrom4(1, v4), false)
	far.wantAnswer("echo6 to the router", eth(mac, far.mac, 0x86dd, echo6(peer6, v6)), isFrom6(58, v6), false)
}

// S25: a hypervisor bridges the holder's frames; its own slot of the same address is
// closed.
func TestBridgedFramesAreNotTouched(t *testing.T) {
	host, client, guest := newMachine(t), newMachine(t), newMachine(t)
	must(t, host.route.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}))
	cable(host, "eth0", client, "eth0")
	cable(host, "vm0", guest, "eth0")
	g := host.gate(nil)
	for _, port := range []string{"eth0", "vm0"} {
		must(t, host.route.LinkSetMaster(host.link(port), host.link("br0")))
	}
	host.up("br0")
	host.addr("br0", own4.String()+"/24")
	client.addr("eth0", peer4.String()+"/24")
	guest.addr("eth0", vip4.String()+"/24")
	guard(t, g, 0, vip4.String())
	eventually(t, 10*time.Second, "the ports are let go", func() bool {
		return g.Guards(host.index("eth0")) != nil && g.Guards(host.index("vm0")) != nil && g.Guards(host.index("br0")) == nil
	})

	far := client.wire("eth0")
	who := eth(broadcast, far.mac, 0x0806, arp(1, far.mac, peer4, vip4))
	ping := eth(guest.link("eth0").Attrs().HardwareAddr, far.mac, 0x0800, echo4(peer4, vip4))
	far.wantAnswer("who-has to the guest", who, isARP(vip4), true)
	far.wantAnswer("echo to the guest", ping, isFrom4(1, vip4), true)

	must(t, guest.route.LinkSetDown(guest.link("eth0")))
	host.addr("br0", vip4.String()+"/32")
	far.wantAnswer("who-has to the host", who, isARP(vip4), false)
	ping = eth(host.link("br0").Attrs().HardwareAddr, far.mac, 0x0800, echo4(peer4, vip4))
	far.wantAnswer("echo to the host", ping, isFrom4(1, vip4), false)

	// A port that is let go is guarded again.
	must(t, host.route.LinkSetNoMaster(host.link("eth0")))
	eventually(t, 10*time.Second, "the former port is guarded", func() bool { return g.Guards(host.index("eth0")) == nil })
}

// The link of a VLAN has its own gate.
func TestVLANLinksAreGuarded(t *testing.T) {
	p := &pair{machine: newMachine(t), peer: newMachine(t)}
	cable(p.machine, "eth0", p.peer, "eth0")
	p.g = p.gate(nil)
	for _, m := range []*machine{p.machine, p.peer} {
		err := m.route.LinkAdd(&netlink.Vlan{
			LinkAttrs: netlink.LinkAttrs{Name: "vlan7", ParentIndex: m.index("eth0")}, VlanId: 7,
		})
		if errors.Is(err, unix.EOPNOTSUPP) {
			t.Skip("the kernel lacks 8021q")
		}
		must(t, err)
		m.up("vlan7")
	}
	eventually(t, 10*time.Second, "the new link is guarded", func() bool { return p.g.Guards(p.index("vlan7")) == nil })
	p.dress("vlan7")
	p.wantAnswers("vlan7", true)
	s := p.closed(Guarded{})
	p.wantAnswers("vlan7", false)
	s.Open(Now()+time.Hour, Now()+2*time.Hour)
	p.wantAnswers("vlan7", true)
}

// On the trunk a frame of a VLAN is somebody else's. A tag of VLAN 0 is only a
// priority: the kernel takes such a frame for one of the trunk itself.
func TestTaggedFramesPassTheTrunkButNotThoseOfVLAN0(t *testing.T) {
	p := newPair(t)
	p.closed(Guarded{})
	near, mac := p.wire("eth0"), p.link("eth0").Attrs().HardwareAddr
	p.far.send(tag(7, eth(mac, p.far.mac, 0x0800, echo4(peer4, vip4))))
	p.far.send(tag(7, eth(broadcast, p.far.mac, 0x0806, arp(2, p.far.mac, vip4, vip4))))
	stats, err := p.g.Stats()
	must(t, err)
	eventually(t, 10*time.Second, "tagged frames come in", func() bool { return near.count(isFrom4(1, peer4)) == 1 && near.count(isARP(vip4)) == 1 })
	p.wantLeaves(near, "a tagged announcement", tag(7, eth(broadcast, near.mac, 0x0806, arp(2, near.mac, vip4, vip4))), isARP(vip4), true)
	if after, err := p.g.Stats(); err != nil || after != stats {
		t.Errorf("Stats = %+v, %v after frames of a VLAN; want %+v as before", after, err, stats)
	}

	ping := func(to netip.Addr) []byte { return tag(0, eth(mac, p.far.mac, 0x0800, echo4(peer4, to))) }
	p.far.wantAnswer("echo to a closed address, tagged with a priority", ping(vip4), isFrom4(1, vip4), false)
	p.far.wantAnswer("echo to its own address, tagged with a priority", ping(own4), isFrom4(1, own4), true)
}

// Links without Ethernet: a tun device.
func TestLinksWithoutEthernetHeaderAreGuarded(t *testing.T) {
	m := newMachine(t)
	g := m.gate(nil)
	tun := m.tun("tun0")
	m.up("tun0")
	eventually(t, 10*time.Second, "the new link is guarded", func() bool { return g.Guards(m.index("tun0")) == nil })
	m.addr("tun0", own4.String()+"/24")
	m.addr("tun0", vip4.String()+"/32")
	m.addr("tun0", own6.String()+"/64")
	m.addr("tun0", vip6.String()+"/128")

	once := func(packet []byte, from netip.Addr, within time.Duration) bool {
		_, err := tun.Write(packet)
		must(t, err)
		must(t, tun.SetReadDeadline(time.Now().Add(within)))
		buf := make([]byte, 2000)
		for {
			n, err := tun.Read(buf)
			if err != nil {
				return false
			}
			src, _ := netip.AddrFromSlice(buf[12:16])
			if buf[0]>>4 == 6 {
				src, _ = netip.AddrFromSlice(buf[8:24])
			}
			if n >= 20 && src == from {
				return true
			}
		}
	}
	answered := func(packet []byte, from netip.Addr, within time.Duration) bool {
		for range 3 {
			if once(packet, from, within) {
				return true
			}
		}
		return false
	}
	s := guard(t, g, time.Hour, vip4.String(), vip6.String())
	for _, want := range []bool{true, false} {
		within := patience
		if !want {
			within = settle
		}
		if got := answered(echo4(peer4, vip4), vip4, within); got != want {
			t.Errorf("echo of an address that is open = %v: answered = %v", want, got)
		}
		if got := answered(echo6(peer6, vip6), vip6, within); got != want {
			t.Errorf("echo6 of an address that is open = %v: answered = %v", want, got)
		}
		if !answered(echo4(peer4, own4), own4, patience) {
			t.Error("the machine's own address does not answer")
		}
		s.Close()
	}
}

// tun makes a tun device and opens it.
func (m *machine) tun(name string) *os.File {
	m.t.Helper()
	var file *os.File
	must(m.t, m.do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		req, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
			return err
		}
		file = os.NewFile(uintptr(fd), "tun")
		return nil
	}))
	m.t.Cleanup(func() { file.Close() })
	return file
}
