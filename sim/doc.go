// Package sim runs whole clusters in virtual time: real vrrp.Units and real
// splitbrain.Cores on a network of two channels that loses, delays, doubles and
// reorders, with nodes that stop, die and come back. It has tests only.
//
// Every run follows from one number. A failure prints it with the trace of
// what happened; run it again with
//
//	go test ./sim -run TestRandomSchedules -seed NUMBER -v
package sim
