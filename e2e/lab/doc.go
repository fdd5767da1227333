// Package lab builds small networks of real programs on one machine: each
// node is a network namespace with two interfaces (service and control) on two
// bridges, which stand in a namespace of their own. Nothing of it touches the
// machine's own network, and no shell is involved.
//
// A story reads: build the network, start daemons (haclusterd, keepalived,
// FRR's vrrpd), watch the segment, break something, say what must be seen and
// within what time. Every wait polls with a bound.
//
// The watcher captures each frame where it enters the switch, with the
// kernel's time stamp, so it knows which node sent it; and it asks for each
// virtual address every 10 ms from a namespace of its own, by ARP or neighbour
// solicitation and by an echo request addressed to each node's MAC. What it
// reports is computed from the capture alone.
//
// The lab needs root and the programs under test; it sees no package of the
// product. Namespaces are named hac-PROGRAM.PID.START-TEST-NODE and are removed
// when the test ends. Those of a process that has gone are removed by the next
// lab, so several can run on one machine at once; what a program that is no
// test has left (KEEP=1 make demo) is removed only by the same program.
package lab
