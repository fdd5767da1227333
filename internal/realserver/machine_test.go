package realserver

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

func TestDownTakesBackExactlyWhatUpDid(t *testing.T) {
	newNamespace(t)
	dir := filepath.Join(t.TempDir(), "state")
	set(t, ipv4("all", "arp_announce"), "1")
	m := open(t, dir)
	must(t, m.Up(t.Context(), vip4, "lo"))
	must(t, m.Up(t.Context(), vip4b, "lo"))
	must(t, m.Up(t.Context(), vip6, "lo"))
	for _, addr := range []netip.Addr{vip4, vip4b, vip6} {
		wantHas(t, "lo", addr, true)
	}
	wantSetting(t, ipv4("all", "arp_ignore"), "1")
	wantSetting(t, ipv4("all", "arp_announce"), "2")
	must(t, m.Close())

	m = open(t, dir) // another process knows what was before
	must(t, m.Down(vip4))
	wantHas(t, "lo", vip4, false)
	wantSetting(t, ipv4("all", "arp_ignore"), "1") // the other address needs it
	must(t, m.Down(vip4b))
	wantSetting(t, ipv4("all", "arp_ignore"), "0")
	wantSetting(t, ipv4("all", "arp_announce"), "1")
	must(t, m.Down(vip6))
	wantHas(t, "lo", vip6, false)
	if _, err := os.Stat(filepath.Join(dir, journalName)); !os.IsNotExist(err) {
		t.Errorf("the journal is left: %v", err)
	}
}

func TestAddressesAreNoSourceOfTheMachinesOwnConnections(t *testing.T) {
	newNamespace(t)
	m := open(t, t.TempDir())
	must(t, m.Up(t.Context(), vip4, "lo"))
	must(t, m.Up(t.Context(), vip6, "lo"))
	list, err := netlink.AddrList(linkOf(t, "lo"), netlink.FAMILY_ALL)
	must(t, err)
	for _, a := range list {
		switch {
		case a.IP.Equal(vip4.AsSlice()) && a.Scope != int(netlink.SCOPE_HOST):
			t.Errorf("%v has scope %d, want that of the host", a.IP, a.Scope)
		case a.IP.Equal(vip6.AsSlice()) && a.PreferedLft != 0:
			t.Errorf("%v is preferred for %d s, want deprecated", a.IP, a.PreferedLft)
		}
	}
}

func TestWhatWasThereBeforeIsNotTaken(t *testing.T) {
	newNamespace(t)
	must(t, netlink.LinkSetUp(linkOf(t, "lo")))
	must(t, addAddress(linkOf(t, "lo"), vip4))
	set(t, ipv4("all", "arp_ignore"), "2") // stricter than needed
	m := open(t, t.TempDir())
	must(t, m.Up(t.Context(), vip4, "lo"))
	wantSetting(t, ipv4("all", "arp_ignore"), "2")
	must(t, m.Down(vip4))
	wantHas(t, "lo", vip4, true)
	wantSetting(t, ipv4("all", "arp_ignore"), "2")
	wantSetting(t, ipv4("all", "arp_announce"), "0")
}

func TestWhatOthersChangedSinceStays(t *testing.T) {
	newNamespace(t)
	m := open(t, t.TempDir())
	must(t, m.Up(t.Context(), vip4, "lo"))
	set(t, ipv4("all", "arp_ignore"), "8")
	must(t, m.Down(vip4))
	wantSetting(t, ipv4("all", "arp_ignore"), "8")
	if told := strings.Join(m.Told(), "\n"); !strings.Contains(told, "net.ipv4.conf.all.arp_ignore is 8 by somebody else and stays") {
		t.Errorf("told\n%s", told)
	}
}

func TestUpTwiceChangesNothingTheSecondTime(t *testing.T) {
	newNamespace(t)
	dir := t.TempDir()
	for i := range 2 {
		m := open(t, dir)
		must(t, m.Up(t.Context(), vip4, "lo"))
		if i == 1 && len(m.Told()) > 0 {
			t.Errorf("the second time changes %q", m.Told())
		}
		must(t, m.Close())
	}
	m := open(t, dir)
	must(t, m.Down(vip4))
	must(t, m.Down(vip4))
	wantSetting(t, ipv4("all", "arp_ignore"), "0") // not the value of the first time
}

func TestUpPutsRightWhatSomebodyTookAway(t *testing.T) {
	newNamespace(t)
	m := open(t, t.TempDir())
	must(t, m.Up(t.Context(), vip4, "lo"))
	must(t, netlink.AddrDel(linkOf(t, "lo"), hostAddr(vip4)))
	set(t, ipv4("all", "arp_announce"), "0")
	s, err := m.Status(vip4)
	must(t, err)
	if got := strings.Join(s.Problems, "; "); got != "it is not on lo; net.ipv4.conf.all.arp_announce is not 2" {
		t.Errorf("problems: %s", got)
	}
	must(t, m.Up(t.Context(), vip4, "lo"))
	if s, err = m.Status(vip4); err != nil || len(s.Problems) > 0 {
		t.Errorf("afterwards %+v, %v", s, err)
	}
	must(t, m.Down(vip4))
	wantSetting(t, ipv4("all", "arp_announce"), "0")
}

func TestTunnelTakesPacketsOfClients(t *testing.T) {
	tests := []struct {
		name     string
		all, own string
		want     string
	}{
		{"strict on the tunnel", "0", "1", "2"},
		{"strict everywhere", "1", "0", "2"},
		{"no filter", "0", "0", "0"},
		{"loose everywhere", "2", "1", "1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			newNamespace(t)
			set(t, ipv4("all", "rp_filter"), tt.all)
			set(t, ipv4(tunnel, "rp_filter"), tt.own)
			m := open(t, t.TempDir())
			must(t, m.Up(t.Context(), vip4, tunnel))
			wantSetting(t, ipv4(tunnel, "rp_filter"), tt.want)
			wantSetting(t, ipv4("all", "rp_filter"), tt.all)
			wantUp(t, tunnel, true)
			must(t, m.Down(vip4))
			wantSetting(t, ipv4(tunnel, "rp_filter"), tt.own)
			wantUp(t, tunnel, false)
		})
	}
}

func wantUp(t *testing.T, name string, want bool) {
	t.Helper()
	if got := linkOf(t, name).Attrs().Flags&net.FlagUp != 0; got != want {
		t.Errorf("%s is up: %v, want %v", name, got, want)
	}
}

func TestTunnelThatOthersUseByNowStaysUp(t *testing.T) {
	newNamespace(t)
	m := open(t, t.TempDir())
	must(t, m.Up(t.Context(), vip4, tunnel))
	must(t, addAddress(linkOf(t, tunnel), vip4b))
	must(t, m.Down(vip4))
	wantUp(t, tunnel, true)
}

func TestRestoreBringsAllBackAfterABoot(t *testing.T) {
	newNamespace(t)
	dir := t.TempDir()
	m := open(t, dir)
	must(t, m.Up(t.Context(), vip4, "lo"))
	must(t, m.Up(t.Context(), vip4b, tunnel))
	must(t, m.Up(t.Context(), vip6, "lo"))
	must(t, m.Close())

	reboot(t, dir)
	set(t, ipv4("all", "arp_announce"), "1") // the administrator has changed it for good
	must(t, netlink.LinkSetUp(linkOf(t, "lo")))
	must(t, addAddress(linkOf(t, "lo"), vip6)) // and has this one from elsewhere by now

	m = open(t, dir)
	must(t, m.Restore(t.Context()))
	wantHas(t, "lo", vip4, true)
	wantHas(t, tunnel, vip4b, true)
	wantSetting(t, ipv4("all", "arp_ignore"), "1")
	must(t, m.Close())

	m = open(t, dir)
	for _, addr := range m.Addresses() {
		must(t, m.Down(addr))
	}
	wantHas(t, "lo", vip4, false)
	wantHas(t, tunnel, vip4b, false)
	wantHas(t, "lo", vip6, true)
	wantSetting(t, ipv4("all", "arp_ignore"), "0")
	wantSetting(t, ipv4("all", "arp_announce"), "1")
}

func TestRestoreTriesTheRestWhenADeviceIsMissing(t *testing.T) {
	newNamespace(t)
	dir := t.TempDir()
	m := open(t, dir)
	must(t, m.Up(t.Context(), vip4b, tunnel))
	must(t, m.Up(t.Context(), vip4, "lo"))
	must(t, m.Close())
	reboot(t, dir)
	must(t, netlink.LinkDel(linkOf(t, tunnel)))
	m = open(t, dir)
	if err := m.Restore(t.Context()); err == nil || !strings.Contains(err.Error(), "there is no device tun0") {
		t.Errorf("Restore = %v, want the missing device", err)
	}
	wantHas(t, "lo", vip4, true)
	must(t, m.Down(vip4b))
	must(t, m.Down(vip4))
	wantSetting(t, ipv4("all", "arp_ignore"), "0")
}

func TestRefusalsChangeNothing(t *testing.T) {
	newNamespace(t)
	dir := t.TempDir()
	m := open(t, dir)
	for device, want := range map[string]string{
		"eth0": "eth0 answers ARP", "none0": "there is no device none0; make the tunnel first",
	} {
		if err := m.Up(t.Context(), vip4, device); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Up on %s = %v, want %q", device, err, want)
		}
	}
	if len(m.Addresses()) > 0 || len(m.Told()) > 0 {
		t.Errorf("there are %v, told %q", m.Addresses(), m.Told())
	}
	wantSetting(t, ipv4("all", "arp_ignore"), "0")
	must(t, m.Up(t.Context(), vip4, "lo"))
	if err := m.Up(t.Context(), vip4, tunnel); err == nil || !strings.Contains(err.Error(), "take it down first") {
		t.Errorf("Up on another device = %v", err)
	}
}

func TestJournalThatIsNoneIsRefused(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, journalName), []byte("{"), 0o600))
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "is no journal") {
		t.Errorf("Open = %v", err)
	}
}

func TestDirectorIsRecognizedByItsTable(t *testing.T) {
	const table = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C0000264:0050 wlc
  -> 0A000001:0050      Route   1      0          0
FWM  00000005 rr
UDP  [2001:0db8:0000:0000:0000:0000:0000:0100]:0035 rr
  -> C0000265:0035      Route   1      0          0
`
	for addr, want := range map[netip.Addr]bool{vip4: true, vip6: true, vip4b: false} {
		if got, err := serves(strings.NewReader(table), addr); got != want || err != nil {
			t.Errorf("serves %v: %v, %v, want %v", addr, got, err, want)
		}
	}
}
