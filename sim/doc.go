// Package sim runs whole clusters in virtual time: real vrrp.Units and real
// splitbrain.Cores, under policy mesh or quorum, on a network of two channels that
// loses, delays, doubles and reorders, with clocks that are wrong, nodes that stop,
// hang, die, are restarted and come back, revisions that roll out and electorates that change. It
// has tests only. On one of the channels addresses are probed, and a gateway may be.
//
// The engine of package vrrp, the kernel gate, and the supervisor do real I/O; here
// they are modelled: gate_test.go and life_test.go have their steps, in their
// order, and lan_test.go has the kernels that answer ARP. Not here are fence agents,
// strangers, and the encoding of records.
//
// Every run follows from one number. A failure prints it with the trace of
// what happened, without the faults that it does not need; run it again with
//
//	go test ./sim -run TestRandomSchedules -seed NUMBER -v
package sim
