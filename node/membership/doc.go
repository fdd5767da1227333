// Package membership is what a node does while it is a member of a cluster: it connects
// the arbiter with the mesh, the data plane, the voters' memory and people, and runs
// what follows the cluster: revisions, members, electorate, fencing, incidents.
//
// Membership.Run starts one goroutine for each of them, and ends them in order. One
// Membership is one period: who joins again makes another.
package membership
