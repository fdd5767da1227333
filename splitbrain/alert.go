package splitbrain

import (
	"cmp"
	"time"
)

// AlertKind names what is wrong, in the words of events and alerts.
type AlertKind string

// Kinds of alerts.
const (
	// VRRPChannelLost: a holder is alive by its records, but its adverts do
	// not arrive.
	VRRPChannelLost AlertKind = "vrrp_channel_lost"
	// MeshChannelLost: a member is alive by another sign, but its records do
	// not arrive directly, or ours do not reach it, or gossip has lost it.
	MeshChannelLost AlertKind = "mesh_channel_lost"
	// MemberSilent: nothing is heard of a member, and it did not say goodbye.
	MemberSilent AlertKind = "member_silent"
	// SplitBrain: two members hold one unit. It is resolved by
	// SplitBrainResolved, which says how long it lasted.
	SplitBrain         AlertKind = "split_brain"
	SplitBrainResolved AlertKind = "split_brain_resolved"
	// ForeignMaster: a router that is no member advertises our virtual router.
	ForeignMaster AlertKind = "foreign_master"
	// QuorumLost: fewer than a majority of the voters answer this node, so units
	// of policy quorum can hold here only as long as their leases run.
	QuorumLost AlertKind = "quorum_lost"
	// HandoverFailed: this node agreed to hand a unit over and could not let
	// go of its addresses.
	HandoverFailed AlertKind = "handover_failed"
	// DataPathLost: this node holds a unit, and neither a gateway nor, without
	// one, any member answers it on the unit's network.
	DataPathLost AlertKind = "data_path_lost"
	// DeadPath: a holder is alive by its records, but its addresses do not
	// answer.
	DeadPath AlertKind = "dead_path"
	// DuplicateAddress: a machine that is no member answers for an address of
	// a unit.
	DuplicateAddress AlertKind = "duplicate_address"
	// StaleHolder: a member that does not hold a unit answers for its
	// addresses.
	StaleHolder AlertKind = "stale_holder"
	// ArpFlux: one member answers for an address with two hardware addresses.
	ArpFlux AlertKind = "arp_flux"
)

// Alert is one condition that began, looks other than before, or ended
// (Resolved). Kind, Unit and Peer together name it.
type Alert struct {
	Kind     AlertKind
	Unit     string // empty: it concerns the node
	Peer     string // member's name, or a stranger's address
	Since    time.Time
	Resolved bool
	Summary  string   // one sentence: what is wrong
	Evidence []string // which channel said what, how long ago
	Remedy   string   // what a person can do; empty when resolved
}

type alertKey struct {
	kind       AlertKind
	unit, peer string
}

func (a *Alert) key() alertKey { return alertKey{a.Kind, a.Unit, a.Peer} }

// compare gives the order in which alerts are told: the same in every run.
func (a Alert) compare(b Alert) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Peer, b.Peer))
}
