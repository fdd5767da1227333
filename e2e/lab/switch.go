package lab

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Cut stops every frame from one node to another on the given networks, in
// that direction only, at the switch; the cables stay up. Cut(a, b) and
// Cut(b, a) make a partition.
func (l *LAN) Cut(from, to *Node, networks ...Network) {
	l.t.Helper()
	l.dropBetween(from, to, networks, nil)
}

// Part cuts each node of one side from each of the other, both ways and all in one
// moment.
func (l *LAN) Part(one, other []*Node, networks ...Network) {
	l.t.Helper()
	l.editSwitch(func(table *nftables.Table, chain *nftables.Chain, conn *nftables.Conn) {
		for _, a := range one {
			for _, b := range other {
				addDrop(table, chain, conn, a, b, networks, nil)
				addDrop(table, chain, conn, b, a, networks, nil)
			}
		}
	})
}

// Lose drops some of the frames from one node to another at the switch, each
// with the given probability in percent.
func (l *LAN) Lose(percent uint32, from, to *Node, networks ...Network) {
	l.t.Helper()
	l.dropBetween(from, to, networks, []expr.Any{
		&expr.Numgen{Register: 1, Type: unix.NFT_NG_RANDOM, Modulus: 100},
		&expr.Cmp{Op: expr.CmpOpLt, Register: 1, Data: binaryutil.NativeEndian.PutUint32(percent)},
	})
}

// Prune stops an IPv4 multicast group at the switch, as one does that snoops
// on IGMP and has forgotten the members for want of a querier. A Linux bridge
// never does that to 224.0.0.0/24, so a rule stands in.
func (l *LAN) Prune(group netip.Addr) {
	l.t.Helper()
	l.editSwitch(func(table *nftables.Table, chain *nftables.Chain, conn *nftables.Conn) {
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(etherIPv4)},
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: group.AsSlice()},
			&expr.Verdict{Kind: expr.VerdictDrop},
		}})
	})
}

// Heal takes all cuts, losses and prunings back.
func (l *LAN) Heal() {
	l.t.Helper()
	l.editSwitch(func(_ *nftables.Table, chain *nftables.Chain, conn *nftables.Conn) { conn.FlushChain(chain) })
}

// dropBetween adds a rule for each network that drops what goes from one node
// to another and meets the condition.
func (l *LAN) dropBetween(from, to *Node, networks []Network, condition []expr.Any) {
	l.t.Helper()
	l.editSwitch(func(table *nftables.Table, chain *nftables.Chain, conn *nftables.Conn) {
		addDrop(table, chain, conn, from, to, networks, condition)
	})
}

func addDrop(table *nftables.Table, chain *nftables.Chain, conn *nftables.Conn, from, to *Node, networks []Network, condition []expr.Any) {
	for _, network := range networks {
		if !from.on(network) || !to.on(network) {
			continue
		}
		rule := []expr.Any{
			&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: interfaceName(from.port(network))},
			&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: interfaceName(to.port(network))},
		}
		rule = append(append(rule, condition...), &expr.Verdict{Kind: expr.VerdictDrop})
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: rule})
	}
}

func (l *LAN) editSwitch(edit func(*nftables.Table, *nftables.Chain, *nftables.Conn)) {
	l.t.Helper()
	conn, err := nftables.New(nftables.WithNetNSFd(int(l.sw.fd)))
	if err != nil {
		l.t.Fatalf("lab: nftables in the switch: %v", err)
	}
	table := conn.AddTable(&nftables.Table{Name: "hac-lab", Family: nftables.TableFamilyBridge})
	chain := conn.AddChain(&nftables.Chain{
		Name: "forward", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter,
	})
	edit(table, chain, conn)
	if err := conn.Flush(); err != nil {
		l.t.Fatalf("lab: nftables in the switch: %v", err)
	}
}

func interfaceName(name string) []byte {
	b := make([]byte, 16)
	copy(b, name)
	return b
}
