package e2e

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// couple is a cluster of two, with one more daemon that waits.
func couple(t *testing.T, conf string) (lan *lab.LAN, member, waiting *lab.Daemon) {
	t.Helper()
	lan = lab.New(t)
	member = lan.Node("lb01").StartMember(lab.Control)
	second := lan.Node("lb02").StartMember(lab.Control)
	waiting = lan.Node("lb03").StartMember(lab.Control)
	lab.Form(t, conf, member, second)
	waiting.WantSocket(10 * time.Second)
	return lan, member, waiting
}

// join runs the join of a node with a new token.
func join(d, of *lab.Daemon, flags ...string) lab.Result {
	token := strings.TrimSpace(of.MustCtl("token", "create", "--quiet"))
	return d.Ctl(append([]string{"join", "--token", token}, flags...)...)
}

// wantRefusal checks a join that was refused: what it said, that the other members
// have forgotten the node, and that this one waits as before.
func wantRefusal(t *testing.T, d, of *lab.Daemon, res lab.Result, words ...string) {
	t.Helper()
	if res.Exit != 1 || !strings.Contains(res.Stderr, "--accept-findings") {
		t.Fatalf("join: %v\nwant exit 1 and a way to join all the same", res)
	}
	for _, w := range words {
		if !strings.Contains(res.Stdout+res.Stderr, w) {
			t.Errorf("the refusal lacks %q:\n%s%s", w, res.Stdout, res.Stderr)
		}
	}
	if st := d.Ctl("status"); !strings.Contains(st.Stdout, "this node is in no cluster yet") {
		t.Errorf("status of the node afterwards: %v", st)
	}
	if out := of.MustCtl("nodes"); strings.Contains(out, d.Node.Name) {
		t.Errorf("the members still list it:\n%s", out)
	}
}

// A node that protocol 112 does not reach would hold an address beside its holder as
// soon as heartbeats are lost as well.
func TestJoinIsRefusedWhereProtocol112IsBlocked(t *testing.T) {
	t.Parallel()
	_, member, waiting := couple(t, trioConf(""))
	waiting.Node.Block(lab.VRRP, lab.In)
	wantRefusal(t, waiting, member, join(waiting, member),
		"test the networks", "IP protocol 112 does not pass from lb01 to lb03 on eth0 (VI_1)", "from lb02 to lb03", "→ let protocol 112 pass")
	waiting.Node.Unblock(lab.VRRP)

	// The other way round, and as JSON.
	waiting.Node.Block(lab.VRRP, lab.Out)
	res := join(waiting, member, "-o", "json")
	var outcome struct {
		Joined   *struct{}
		Findings []struct {
			Summary    string
			TwoHolders bool `json:"two_holders"`
		}
	}
	if err := json.Unmarshal([]byte(res.Stdout), &outcome); err != nil {
		t.Fatalf("%v: %v", err, res)
	}
	refusing := 0
	for _, f := range outcome.Findings {
		if f.TwoHolders {
			refusing++
			if !strings.Contains(f.Summary, "from lb03 to ") {
				t.Errorf("refused for %q", f.Summary)
			}
		}
	}
	if refusing != 2 || outcome.Joined != nil {
		t.Errorf("%d findings refuse, want 2:\n%s", refusing, res.Stdout)
	}
	wantRefusal(t, waiting, member, res)

	// Who has read it may join all the same.
	if res := join(waiting, member, "--accept-findings"); res.Exit != 0 || !strings.Contains(res.Stdout, "accepted: 2 findings") {
		t.Errorf("join with --accept-findings: %v", res)
	}
}

// Whose heartbeats reach nobody is a holder that nobody knows of as soon as its adverts
// are lost as well.
func TestJoinIsRefusedWhereHeartbeatsAreBlockedOneWay(t *testing.T) {
	t.Parallel()
	_, member, waiting := couple(t, trioConf(""))
	for _, way := range []struct {
		blocked lab.Direction
		says    string
	}{
		{lab.In, "heartbeats do not pass to lb03 from lb01, lb02"},
		{lab.Out, "heartbeats do not pass from lb03 to lb01, lb02"},
	} {
		waiting.Node.Block(lab.Heartbeats, way.blocked)
		wantRefusal(t, waiting, member, join(waiting, member), "test the networks", way.says, "→ let UDP port 7113 pass")
		wantRefusal(t, waiting, member, join(waiting, member, "--witness"), "test the networks", way.says, "its vote would not count")
		waiting.Node.Unblock(lab.Heartbeats)
	}
	if res := join(waiting, member); res.Exit != 0 {
		t.Errorf("join with an open port: %v", res)
	}
}

func TestJoinIsRefusedWhileAStrangerAnswersForAnAddress(t *testing.T) {
	t.Parallel()
	lan, member, waiting := couple(t, trioConf("")+fmt.Sprintf(
		"vrrp_instance VI_6 {\n interface eth0\n virtual_router_id 61\n priority 100\n virtual_ipaddress {\n fe80::6:100\n %v/64\n }\n}\n", vip6))
	stranger := lan.Host("printer")
	for _, addr := range []netip.Addr{vip, vip6} {
		p := netip.PrefixFrom(addr, addr.BitLen())
		stranger.AddAddr(lab.Service, p)
		wantRefusal(t, waiting, member, join(waiting, member),
			fmt.Sprintf("%v is answered for by %v, which is no member", addr, stranger.MAC(lab.Service)), "→ find that machine")
		stranger.DeleteAddr(lab.Service, p)
	}
	res := join(waiting, member)
	for _, w := range []string{"ok test the networks", "on all 8 ways", "no stranger answers for a virtual address", "lb03 is reached by TCP from all members", "the clock is within"} {
		if !strings.Contains(res.Stdout, w) {
			t.Errorf("join lacks %q: %v", w, res)
		}
	}
	if strings.Contains(res.Stdout, "error") || strings.Contains(res.Stdout, "warning") {
		t.Errorf("a healthy join has findings: %v", res)
	}
}

func TestJoinIsRefusedBesideAnotherRouterOfThatNumber(t *testing.T) {
	t.Parallel()
	lan, member, waiting := couple(t, trioConf(""))
	stranger := lan.Host("other")
	stranger.StartKeepalived("vrrp_instance X {\n interface eth0\n virtual_router_id 51\n version 3\n priority 200\n advert_int 0.3\n virtual_ipaddress { 192.0.2.250 }\n}\n", "-D")
	lab.During(electionTime)
	wantRefusal(t, waiting, member, join(waiting, member),
		stranger.Addr4(lab.Service).String()+" advertises virtual router 51", "is no member", "virtual_router_id")
}
