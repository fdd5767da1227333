// Command demo tells in a minute and a half what hacluster does: it starts
// three real daemons in network namespaces, makes them a cluster, breaks
// things, and prints what happened with measured times.
//
// Times of the network come from a capture at the switch and from a fourth
// namespace that asks for the virtual addresses every 10 ms; the capture's path
// is printed. A wrong outcome (two holders, no take-over) ends it with exit
// status 1.
//
// With KEEP=1 in the environment the cluster goes on running. The next demo or
// end-to-end test removes what is left. It needs root and bin/ as make build
// leaves it; make demo does both.
package main
