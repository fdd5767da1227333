// Package disarm is the replicated decision of a person to freeze what hacluster
// does by itself on proof: fencing and quick take-over. VRRP and leases go on.
//
// It always ends. An order says how long it lasts, and each node counts that
// itself from the moment at which the order reached it, so no clock has to agree
// with another one. A node that starts again while an order stands counts anew:
// the first node that has counted to the end takes the order out for all.
//
// Machine implements store.Machine. The package starts no goroutine.
package disarm
