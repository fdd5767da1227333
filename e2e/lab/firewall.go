package lab

import (
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Channel is something that a firewall on a node can drop.
type Channel struct {
	name  string
	proto byte // 0: everything
	port  uint16
}

// Channels of the product.
var (
	VRRP       = Channel{"protocol 112", 112, 0}
	GossipUDP  = Channel{"udp/7112", unix.IPPROTO_UDP, 7112}
	Heartbeats = Channel{"udp/7113", unix.IPPROTO_UDP, heartbeatPort}
	API        = Channel{"tcp/7112", unix.IPPROTO_TCP, 7112}
	ICMP       = Channel{"icmp", unix.IPPROTO_ICMP, 0}
	AllIP      = Channel{"all IP packets", 0, 0}
)

// Direction is seen from the node.
type Direction int

// Directions.
const (
	Both Direction = iota
	In
	Out
)

// firewall is the node's own nftables table: one drop rule for each channel
// and direction that is blocked.
type firewall struct {
	node    *Node
	blocked []block
}

type block struct {
	channel   Channel
	direction Direction
}

// Block drops a channel on the node, as a host firewall would; ARP and
// neighbour discovery of IPv4 pass, those of IPv6 are IP packets.
func (n *Node) Block(c Channel, d Direction) {
	n.t.Helper()
	n.ensureShield().change(func(bs []block) []block { return append(bs, block{c, d}) })
}

// Unblock lets a channel pass again in both directions.
func (n *Node) Unblock(c Channel) {
	n.t.Helper()
	n.ensureShield().change(func(bs []block) []block {
		return slices.DeleteFunc(bs, func(b block) bool { return b.channel == c })
	})
}

func (n *Node) ensureShield() *firewall {
	if n.shield == nil {
		n.shield = &firewall{node: n}
	}
	return n.shield
}

// change replaces the whole table in one transaction.
func (f *firewall) change(edit func([]block) []block) {
	f.node.t.Helper()
	f.blocked = edit(f.blocked)
	conn, err := nftables.New(nftables.WithNetNSFd(int(f.node.ns.fd)))
	if err != nil {
		f.node.t.Fatalf("lab: node %s: nftables: %v", f.node.Name, err)
	}
	table := conn.AddTable(&nftables.Table{Name: "hac-lab", Family: nftables.TableFamilyINet})
	conn.DelTable(table)
	table = conn.AddTable(table)
	input := conn.AddChain(hookChain(table, "input", nftables.ChainHookInput))
	output := conn.AddChain(hookChain(table, "output", nftables.ChainHookOutput))
	for _, b := range f.blocked {
		if b.direction != Out {
			conn.AddRule(&nftables.Rule{Table: table, Chain: input, Exprs: b.channel.drop()})
		}
		if b.direction != In {
			conn.AddRule(&nftables.Rule{Table: table, Chain: output, Exprs: b.channel.drop()})
		}
	}
	if err := conn.Flush(); err != nil {
		f.node.t.Fatalf("lab: node %s: nftables: %v", f.node.Name, err)
	}
}

func hookChain(table *nftables.Table, name string, hook *nftables.ChainHook) *nftables.Chain {
	return &nftables.Chain{
		Name: name, Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: hook, Priority: nftables.ChainPriorityRef(-350), // before every rule of the product
	}
}

// drop is the rule "meta l4proto P [th dport N] drop". Answers from a port
// pass one way, as they would with a usual firewall; a channel is cut at its
// destination port.
func (c Channel) drop() []expr.Any {
	var rule []expr.Any
	if c.proto != 0 {
		rule = append(rule,
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{c.proto}})
	} else {
		rule = append(rule, // not what the node says to itself
			&expr.Meta{Key: expr.MetaKeyPKTTYPE, Register: 1},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{unix.PACKET_LOOPBACK}})
	}
	if c.port != 0 {
		rule = append(rule,
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(c.port)})
	}
	return append(rule, &expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop})
}
