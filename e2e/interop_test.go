package e2e

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// TestInteropWithKeepalived: one virtual router shared by haclusterd and
// keepalived, each in both roles; the master leaves and comes back. There is
// one master at all times, and each change takes what the protocol says.
func TestInteropWithKeepalived(t *testing.T) {
	const pass = "authentication {\n auth_type PASS\n auth_pass secret12\n }"
	variants := []struct {
		name    string
		version int
		addr    netip.Addr
		lines   string
		unicast bool
	}{
		{"v2 with PASS", 2, vip, pass, false},
		{"v2 without authentication", 2, vip, "", false},
		{"v2 with PASS, unicast", 2, vip, pass, true},
		{"v3 over IPv4", 3, vip, "", false},
		{"v3 over IPv4, unicast", 3, vip, "", true},
		{"v3 over IPv6", 3, vip6, "", false},
		{"v3 over IPv6, unicast", 3, vip6, "", true},
	}
	roles := []struct{ master, backup router }{{hacluster, keepalived}, {keepalived, hacluster}}
	for _, v := range variants {
		for _, r := range roles {
			t.Run(fmt.Sprintf("%s, %s as master", v.name, r.master.name), func(t *testing.T) {
				t.Parallel()
				lan := lab.New(t)
				a, b := lan.Node("a"), lan.Node("b")
				w := lan.Watch(v.addr)
				lines := v.lines
				if v.unicast {
					lines += unicastPair(a, b, v.addr)
				}
				conf := twoNodes(v.version, 150, 100, v.addr, lines)
				fam := family(v.addr)

				r.backup.start(b, conf)
				master := r.master.start(a, conf)
				w.WantHolder(a, v.addr, electionTime)
				settled := reigning(w, a, fam, 51)

				if exit := master.Stop(5 * time.Second); exit != 0 {
					t.Errorf("%s ended with status %d after SIGTERM, want 0", r.master.name, exit)
				}
				w.WantHolder(b, v.addr, 3*time.Second)
				wantTakeover(t, w.Since(settled), fam, 51, a, b, skew(100))

				back := time.Now()
				r.master.start(a, conf)
				w.WantHolder(a, v.addr, electionTime)
				w.WantMaster(a, fam, 51, 2*time.Second)
				b.WantNoAddr(v.addr, time.Second)

				wantReigns(t, w.Since(settled), fam, 51, a, b, a)
				w.All().WantNeverTwo(meeting, v.addr)
				w.Since(back).WantDarkAtMost(meeting, v.addr)
			})
		}
	}
}

// unicastPair lists each node as the other's only peer.
func unicastPair(a, b *lab.Node, addr netip.Addr) string {
	own := func(n *lab.Node) netip.Addr { return n.Addr4(lab.Service) }
	if addr.Is6() {
		own = func(n *lab.Node) netip.Addr { return n.Addr6(lab.Service) }
	}
	return fmt.Sprintf(`
	@a unicast_src_ip %[1]v
	@b unicast_src_ip %[2]v
	unicast_peer {
		@a %[2]v
		@b %[1]v
	}
`, own(a), own(b))
}

// TestTieBreakOnAddress: with equal priorities two masters that meet again
// leave the one with the higher address (RFC 3768 section 6.4.3).
func TestTieBreakOnAddress(t *testing.T) {
	tests := []struct {
		name          string
		lower, higher router
	}{
		{"haclusterd has the higher address", keepalived, hacluster},
		{"keepalived has the higher address", hacluster, keepalived},
		{"two haclusterd", hacluster, hacluster},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			lan := lab.New(t)
			a, b := lan.Node("a"), lan.Node("b")
			w := lan.Watch(vip)
			conf := twoNodes(3, 100, 100, vip, "")
			a.Block(lab.VRRP, lab.In)
			b.Block(lab.VRRP, lab.In)
			tt.lower.start(a, conf)
			tt.higher.start(b, conf)
			a.WantAddr(vip, electionTime)
			b.WantAddr(vip, electionTime)

			a.Unblock(lab.VRRP)
			b.Unblock(lab.VRRP)
			w.WantHolder(b, vip, 3*time.Second)

			w.WantMaster(b, 4, 51, 2*time.Second)
			settled := time.Now()
			lab.During(1500 * time.Millisecond)
			wantReigns(t, w.Since(settled), 4, 51, b)
		})
	}
}
