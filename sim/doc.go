// Package sim runs whole clusters in virtual time: real vrrp.Units, and real
// splitbrain.Cores and Fencers, under policy mesh or quorum, on a network of two
// channels that loses, delays, doubles and reorders, with clocks that are wrong. Nodes
// stop, hang, die, are restarted and come back; revisions roll out, electorates change,
// nodes join and leave; strangers come, and nodes that do not let go are fenced. It has
// tests only. On one of the channels addresses are probed, and a gateway may be.
//
// The engine of package vrrp, the kernel gate, the supervisor, Raft and the agents do
// real I/O; here they are modelled: gate_test.go and life_test.go have the engine's
// steps, in their order, lan_test.go the kernels that answer ARP, membership_test.go
// what Raft says, fence_test.go the shell of the Fencer. docs/split-brain.md says what
// is not here.
//
// Every run follows from one number. A failure prints it with the trace of
// what happened, without the faults that it does not need; run it again with
//
//	go test ./sim -run TestRandomSchedules -seed NUMBER -v
package sim
