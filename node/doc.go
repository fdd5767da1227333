// Package node is the composition root of one running node: it builds, starts,
// connects and stops everything, and decides nothing.
//
// The data plane (package plane) holds virtual addresses and lives as long as the
// process. What it should run comes from a file (standalone.go) or from the
// cluster's revisions (member.go). Between vrrp and splitbrain, which do not
// know each other, stands package arbitrate.
package node
