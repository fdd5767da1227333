// Package incident makes one story of what several nodes saw of one thing that
// went wrong: a fail-over, a split brain, a loss of the majority, a fencing.
//
// Each node has a Tracker, a pure function of what that node knows at one moment
// and of what it knew before. It opens a Part at the first sign, adds what it sees
// to it, and closes it when the state has been safe for a while. Nodes give their
// parts to the replicated Machine, which puts those about the same thing into one
// Record: the death of a node with 255 units is one incident, told by as many
// nodes as saw it. Nothing that runs depends on any of it; a node that has no
// majority keeps its parts until it has one.
//
// A Reporter does that for one node: it feeds the Tracker, gives the parts, and has
// people told once, by the leader or, while there is none, by whoever sees it. Traces
// keep the decisions of splitbrain around each incident.
//
// The package starts no goroutine.
package incident
