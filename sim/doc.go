// Package sim runs whole clusters in virtual time: real vrrp.Units and real
// splitbrain.Cores, under policy mesh or quorum, on a network of two channels that
// loses, delays, doubles and reorders, with clocks that are wrong, nodes that stop,
// hang, die and come back, revisions that roll out and electorates that change. It
// has tests only.
//
// The engine of package vrrp, the kernel gate, and the supervisor do real I/O; here
// they are modelled: gate_test.go and life_test.go have their steps, in their
// order. Not here are probes (so R3, R5 and R9.3 rest), fence agents, strangers,
// the encoding of records, and planned restarts.
//
// Every run follows from one number. A failure prints it with the trace of
// what happened, without the faults that it does not need; run it again with
//
//	go test ./sim -run TestRandomSchedules -seed NUMBER -v
package sim
