package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// FRRDir is where Debian's FRR has its daemons. They are started as root and go
// on as the user frr.
const FRRDir = "/usr/lib/frr"

// FRRRouter is one virtual router of FRR on the service network, advertised
// once a second.
type FRRRouter struct {
	Version  int // of VRRP: 2 or 3
	VRID     int
	Priority int // 1 to 254
	VIP      netip.Addr
}

// FRR is FRR's vrrpd with the zebra that it needs, and the macvlan whose MAC is
// the virtual router's. vrrpd neither adds nor removes an address: the virtual
// one stands on the macvlan, and while vrrpd is a backup zebra takes the
// macvlan's carrier.
type FRR struct {
	*Process // vrrpd

	node  *Node
	zebra *Process
	link  netlink.Link
}

// frrStart bounds what FRR needs until its macvlan has lost its carrier.
const frrStart = 5 * time.Second

// frrTable is the routing table for what a node sends from FRR's virtual
// address.
const frrTable = 112

// StartFRR runs FRR for one virtual router, scheduled as haclusterd is.
func (n *Node) StartFRR(r FRRRouter) *FRR {
	n.t.Helper()
	dir := n.tempDir("frr")
	n.t.Cleanup(func() { forgetFRR(dir) })
	conf := n.write(dir, "frr.conf", r.conf())
	link, err := n.addVirtualMAC(r)
	if err == nil {
		err = giveTo("frr", dir, conf)
	}
	if err != nil {
		n.t.Fatalf("lab: node %s: prepare FRR: %v", n.Name, err)
	}
	f := &FRR{node: n, link: link}
	run := func(program, conf string) *Process {
		return n.start(daemonPriority, []string{filepath.Join(FRRDir, program), "--config_file", conf,
			"--pid_file", filepath.Join(dir, program+".pid"), "--socket", filepath.Join(dir, "zebra.sock"),
			"--vty_socket", dir, "--vty_port", "0", "--log", "stdout"})
	}
	f.zebra = run("zebra", os.DevNull)
	Want(n.t, frrStart, n.Name+" has zebra's socket", func() (string, bool) {
		_, err := os.Stat(filepath.Join(dir, "zebra.sock"))
		return fmt.Sprint(err), err == nil
	})
	f.Process = run("vrrpd", conf)

	// The address follows when FRR has the macvlan in hand: no moment with an
	// address that a backup answers for.
	Want(n.t, frrStart, n.Name+" has its macvlan without a carrier", func() (string, bool) {
		link, err := n.ns.nl.LinkByIndex(link.Attrs().Index)
		if err != nil {
			return err.Error(), false
		}
		return link.Attrs().OperState.String(), link.Attrs().RawFlags&unix.IFF_LOWER_UP == 0
	})
	if err := f.addVIP(r.VIP); err != nil {
		n.t.Fatalf("lab: node %s: put %v on %s: %v", n.Name, r.VIP, link.Attrs().Name, err)
	}
	return f
}

// addVIP puts the address on the macvlan, and makes the node answer for it
// through there only. FRR leaves this to the machine, and Linux answers for an
// address of any interface on every other one: a backup's too.
func (f *FRR) addVIP(vip netip.Addr) error {
	all, nl := netip.PrefixFrom(vip, vip.BitLen()), f.node.ns.nl
	family, word, network, anywhere := unix.AF_INET, "ipv4", Service.prefixes()[0], netip.IPv4Unspecified()
	if vip.Is6() {
		family, word, network, anywhere = unix.AF_INET6, "ipv6", Service.prefixes()[1], netip.IPv6Unspecified()
	}
	// What is sent from the address leaves through the macvlan or, without its
	// carrier, not at all. It must not wait there for a neighbour: such packets
	// use up what the kernel grants all namespaces together for echo replies.
	err := errors.Join(
		f.node.ns.sysctl("ipv4/conf/"+Service.Interface()+"/arp_ignore", "1"),
		f.node.ns.sysctl(word+"/conf/"+f.link.Attrs().Name+"/ignore_routes_with_linkdown", "1"),
		nl.AddrAdd(f.link, linkAddr(all)),
		nl.RouteReplace(&netlink.Route{Family: family, Table: frrTable, Dst: linkAddr(network.Masked()).IPNet,
			LinkIndex: f.link.Attrs().Index, Scope: netlink.SCOPE_LINK}),
		nl.RouteReplace(&netlink.Route{Family: family, Table: frrTable, Dst: linkAddr(netip.PrefixFrom(anywhere, 0)).IPNet,
			Type: unix.RTN_BLACKHOLE}),
	)
	rule := netlink.NewRule()
	rule.Family, rule.Table, rule.Src = family, frrTable, linkAddr(all).IPNet
	if added := nl.RuleAdd(rule); !errors.Is(added, syscall.EEXIST) { // an earlier start's
		err = errors.Join(err, added)
	}
	return err
}

// Stop ends vrrpd, which says goodbye and has the carrier of its macvlan taken,
// then zebra, and removes the macvlan. The exit status of vrrpd comes back.
func (f *FRR) Stop(within time.Duration) int {
	f.node.t.Helper()
	exit := f.Process.Stop(within)
	f.zebra.Stop(within)
	if err := f.node.ns.nl.LinkDel(f.link); err != nil {
		f.node.t.Fatalf("lab: node %s: remove %s: %v", f.node.Name, f.link.Attrs().Name, err)
	}
	return exit
}

// Kill kills vrrpd and zebra. The macvlan stays as it is, with the address.
func (f *FRR) Kill() {
	f.KillAll()
	f.zebra.KillAll()
}

func (r FRRRouter) conf() string {
	family := "ip"
	if r.VIP.Is6() {
		family = "ipv6"
	}
	return fmt.Sprintf(`interface %[1]s
 vrrp %[2]d version %[3]d
 vrrp %[2]d priority %[4]d
 vrrp %[2]d %[5]s %[6]v
`, Service.Interface(), r.VRID, r.Version, r.Priority, family, r.VIP)
}

// addVirtualMAC adds the macvlan that FRR looks for: up, with the MAC of the
// virtual router (RFC 5798 section 7.3).
func (n *Node) addVirtualMAC(r FRRRouter) (netlink.Link, error) {
	base, err := n.ns.nl.LinkByName(Service.Interface())
	if err != nil {
		return nil, err
	}
	link := &netlink.Macvlan{LinkAttrs: netlink.NewLinkAttrs(), Mode: netlink.MACVLAN_MODE_BRIDGE}
	link.ParentIndex = base.Attrs().Index
	link.Name, link.HardwareAddr = "vrrp4", net.HardwareAddr{0, 0, 0x5e, 0, 1, byte(r.VRID)}
	if r.VIP.Is6() {
		link.Name, link.HardwareAddr[4] = "vrrp6", 2
	}
	link.Name += fmt.Sprintf("-%d", r.VRID)
	if err := n.ns.nl.LinkAdd(link); err != nil {
		return nil, fmt.Errorf("add %s: %w", link.Name, err)
	}
	return link, n.ns.nl.LinkSetUp(link)
}

// giveTo makes a user and its group the owner of files.
func giveTo(name string, paths ...string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := os.Chown(path, uid, gid); err != nil {
			return err
		}
	}
	return nil
}

// frrTraces is where each daemon of FRR has a directory PROGRAM.PID, with no way
// to say where instead. One that was killed leaves it.
const frrTraces = "/var/tmp/frr"

// forgetFRR removes the traces of the daemons whose files are in a directory.
func forgetFRR(dir string) {
	pids, _ := filepath.Glob(filepath.Join(dir, "*.pid"))
	for _, file := range pids {
		pid, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		program := strings.TrimSuffix(filepath.Base(file), ".pid")
		_ = os.RemoveAll(filepath.Join(frrTraces, program+"."+strings.TrimSpace(string(pid)))) // gone already is fine
	}
}
