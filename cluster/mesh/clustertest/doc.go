// Package clustertest is a network in memory for tests of cluster code: hosts
// with addresses, datagrams that are lost and late, streams, and cuts in one
// direction. It works in a testing/synctest bubble, where its delays cost
// nothing.
//
// A delayed datagram is a timer; there are no goroutines. For tests only.
package clustertest
