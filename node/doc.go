// Package node is the composition root of one running node: it builds, starts,
// connects and stops everything, and decides nothing.
//
// What a node runs comes from a file (standalone.go) or from a cluster (member.go).
// Both have a data plane (package plane), which holds virtual addresses and lives as
// long as the process. What a node does while it is a member is one value
// (package membership), which comes and goes. Between vrrp and splitbrain, which do
// not know each other, stands package arbitrate.
package node
