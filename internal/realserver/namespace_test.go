package realserver

import (
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// The tests need root. Each runs in a network namespace of its own, with lo and a
// link that stands for a tunnel: it answers no ARP.

var (
	vip4  = netip.MustParseAddr("192.0.2.100")
	vip4b = netip.MustParseAddr("192.0.2.101")
	vip6  = netip.MustParseAddr("2001:db8::100")
)

const tunnel = "tun0"

// newNamespace moves the test, locked to its thread, into a new network namespace.
func newNamespace(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	old, err := netns.Get()
	must(t, err)
	ns, err := netns.New()
	must(t, err)
	t.Cleanup(func() {
		err := netns.Set(old)
		ns.Close()
		old.Close()
		if err != nil {
			t.Errorf("leave network namespace: %v", err)
			return // still locked: the thread ends with the goroutine
		}
		runtime.UnlockOSThread()
	})
	must(t, netlink.LinkAdd(&netlink.Ifb{LinkAttrs: netlink.LinkAttrs{Name: tunnel}}))
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth1"}))
	for _, name := range []string{"arp_ignore", "arp_announce", "rp_filter"} {
		set(t, ipv4("all", name), "0")
	}
	set(t, ipv4(tunnel, "rp_filter"), "0")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func set(t *testing.T, name, value string) {
	t.Helper()
	must(t, writeSetting(name, value))
}

func wantSetting(t *testing.T, name, want string) {
	t.Helper()
	got, err := readSetting(name)
	must(t, err)
	if got != want {
		t.Errorf("%s = %s, want %s", dotted(name), got, want)
	}
}

func linkOf(t *testing.T, name string) netlink.Link {
	t.Helper()
	link, err := netlink.LinkByName(name)
	must(t, err)
	return link
}

func wantHas(t *testing.T, on string, addr netip.Addr, want bool) {
	t.Helper()
	got, err := has(linkOf(t, on), addr)
	must(t, err)
	if got != want {
		t.Errorf("%s has %v: %v, want %v", on, addr, got, want)
	}
}

// open is a process that uses the directory; it ends with the test, or by Close.
func open(t *testing.T, dir string) *Machine {
	t.Helper()
	m, err := Open(dir)
	must(t, err)
	t.Cleanup(func() { m.Close() })
	return m
}

// reboot makes the journal one of an earlier boot, and the kernel forget what it
// had.
func reboot(t *testing.T, dir string) {
	t.Helper()
	file := filepath.Join(dir, journalName)
	text, err := os.ReadFile(file)
	must(t, err)
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	must(t, err)
	earlier := strings.Replace(string(text), strings.TrimSpace(string(boot)), "an earlier one", 1)
	must(t, os.WriteFile(file, []byte(earlier), 0o600))
	for _, name := range []string{"lo", tunnel} {
		list, err := netlink.AddrList(linkOf(t, name), netlink.FAMILY_ALL)
		must(t, err)
		for _, a := range list {
			must(t, netlink.AddrDel(linkOf(t, name), &a))
		}
		must(t, netlink.LinkSetDown(linkOf(t, name)))
	}
	for _, name := range []string{ipv4("all", "arp_ignore"), ipv4("all", "arp_announce"), ipv4(tunnel, "rp_filter")} {
		set(t, name, "0")
	}
}
