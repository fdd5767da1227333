package observed

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
)

// These are the alerts about a node itself, which no rule of splitbrain raises.

// StoreFailed is the alert about a replica of the configuration that does not work:
// most often its disk is full, or answers no more. The virtual addresses need
// neither disk nor Raft (G3). Without an err it is the end of that alert.
func StoreFailed(node, dataDir string, err error, now time.Time) Alert {
	a := Alert{
		ID: "store_failed/" + node, Code: "store_failed", Severity: Warning, Node: node,
		Since: now, Resolved: now,
	}
	if err != nil {
		a.Resolved = time.Time{}
		a.Summary = fmt.Sprintf("%s cannot store the configuration; its virtual addresses are served as before", node)
		a.Evidence = []string{"store: " + err.Error()}
		a.Next = fmt.Sprintf("look at the disk of %s on %s: room, health", dataDir, node)
	}
	return a
}

// IdentityCopied is the alert about a machine that called with the certificate of
// the node itself. That machine refuses to start, and may try again and again.
func IdentityCopied(node string, from net.Addr, now time.Time) Alert {
	host, _, _ := net.SplitHostPort(from.String())
	return Alert{
		ID: "duplicate_identity/" + node, Code: "duplicate_identity", Severity: Critical, Node: node,
		Summary:  fmt.Sprintf("a machine at %s has a copy of the identity of %s; it was not let in", host, node),
		Evidence: []string{"tls: a call from " + from.String() + " with this node's own certificate"},
		Next:     "stop haclusterd there, empty its data directory, and join it with a token and a name of its own",
		Since:    now,
	}
}

// AddressCopied is the alert about a machine that answers for an address of the node
// itself. A haclusterd there refuses to start as the node.
func AddressCopied(node string, own netip.Addr, iface string, mac splitbrain.MAC, now time.Time) Alert {
	return Alert{
		ID: "duplicate_address/" + node + "/" + own.String(), Code: string(splitbrain.DuplicateAddress), Severity: Critical, Node: node, Peer: mac.String(),
		Summary:  fmt.Sprintf("a machine with %v answers for %v, the own address of %s on %s", mac, own, node, iface),
		Evidence: []string{fmt.Sprintf("arp: %v on %s is answered by %v", own, iface, mac)},
		Next:     "find that machine by its port on the switch, and give it an address of its own; until then a haclusterd on " + node + " that is stopped does not start again",
		Since:    now,
	}
}

// GateRemoved is the alert about a kernel gate that somebody else took from a link.
// It could not be put back when err is not nil.
func GateRemoved(link string, err error, now time.Time) Alert {
	a := Alert{
		ID: "kernel_gate_removed/" + link, Code: "kernel_gate_removed", Severity: Warning, Since: now,
		Summary: "somebody removed the kernel gate from " + link,
		Next:    "find out what removes clsact or its filters from " + link + ": without them a hung daemon goes on answering",
	}
	if err != nil {
		a.Summary += ", and it could not be put back"
		a.Evidence = []string{err.Error()}
	}
	return a
}
