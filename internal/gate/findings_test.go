package gate

import (
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// What the findings of the project's review say of a gate made of nftables' timed
// elements, and how this one is free of it. The table is docs/findings.md.

// S26, T6: a firewall that is started anew flushes the ruleset, and a rule that
// accepts decides for its hook. Neither opens this gate: it is no part of either.
func TestNothingDoneToTheFirewallOpensTheGate(t *testing.T) {
	p := newPair(t)
	p.closed(Guarded{})
	conn, err := nftables.New(nftables.WithNetNSFd(int(p.handle)))
	must(t, err)
	conn.FlushRuleset()
	must(t, conn.Flush())
	p.wantAnswers("eth0", false)

	table := conn.AddTable(&nftables.Table{Name: "open", Family: nftables.TableFamilyINet})
	for _, hook := range []struct {
		name string
		hook *nftables.ChainHook
	}{{"in", nftables.ChainHookPrerouting}, {"out", nftables.ChainHookOutput}} {
		chain := conn.AddChain(&nftables.Chain{
			Name: hook.name, Table: table, Type: nftables.ChainTypeFilter,
			Hooknum: hook.hook, Priority: nftables.ChainPriorityFirst,
		})
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}}})
	}
	must(t, conn.Flush())
	p.wantAnswers("eth0", false)
}

// S27, T3, T4: a timeout that is set anew to the same length prolonged nothing, and
// one element that had run out undid the renewal of all. Here each slot has a time of
// its own, which is not a length.
func TestEachSlotIsProlongedByItself(t *testing.T) {
	p := newPair(t)
	lapsed, living := guard(t, p.g, 0, vip4.String()), guard(t, p.g, time.Hour, vip6.String())
	for range 3 {
		before, end := living.Deadline(), Now()+time.Hour // the same length each time
		living.Open(end, end+time.Hour)
		if got := living.Deadline(); got <= before {
			t.Errorf("the deadline went from %v to %v, want it later", before, got)
		}
	}
	if lapsed.State() != Closed || living.State() != Open {
		t.Errorf("the slots are %v and %v, want closed and open", lapsed.State(), living.State())
	}
	mac, w := p.link("eth0").Attrs().HardwareAddr, p.far
	w.wantAnswer("echo to what ran out", eth(mac, w.mac, 0x0800, echo4(peer4, vip4)), isFrom4(1, vip4), false)
	w.wantAnswer("echo6 to what was prolonged", eth(mac, w.mac, 0x86dd, echo6(peer6, vip6)), isFrom6(58, vip6), true)
}

// S24, T2: where the next hop is known already, no question in the name of the
// address comes before a packet: that has to be stopped itself.
func TestPacketsFromAClosedAddressDoNotLeaveToAKnownNeighbour(t *testing.T) {
	p := newPair(t)
	s := p.closed(Guarded{})
	p.wantOwn("eth0") // which makes the neighbour known, by both families
	for _, f := range []struct {
		name     string
		family   int
		from, to unix.Sockaddr
		arrived  func([]byte) bool
	}{
		{"IPv4", unix.AF_INET, &unix.SockaddrInet4{Addr: vip4.As4()}, &unix.SockaddrInet4{Port: 9, Addr: peer4.As4()}, isFrom4(unix.IPPROTO_UDP, vip4)},
		{"IPv6", unix.AF_INET6, &unix.SockaddrInet6{Addr: vip6.As16()}, &unix.SockaddrInet6{Port: 9, Addr: peer6.As16()}, isFrom6(unix.IPPROTO_UDP, vip6)},
	} {
		s.Close()
		p.sendFrom(f.family, f.from, f.to)
		time.Sleep(settle)
		if n := p.far.count(f.arrived); n > 0 {
			t.Errorf("%s: %d packets of a closed address arrived", f.name, n)
		}
		s.Open(Now()+time.Hour, Now()+2*time.Hour)
		p.sendFrom(f.family, f.from, f.to)
		eventually(t, 10*time.Second, f.name+": a packet of an open address arrives", func() bool { return p.far.count(f.arrived) > 0 })
	}
}
