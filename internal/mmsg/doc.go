// Package mmsg reads and writes many datagrams in one system call, recvmmsg(2)
// and sendmmsg(2), by hand. The batch calls of golang.org/x/net allocate for each
// datagram, and they announce each system call to the scheduler, which then wakes
// its monitor thread: for who sleeps and hears one datagram at a time, that costs
// more than the datagram. The descriptor never blocks, so there is nothing to
// announce; the runtime's poller waits.
//
// Reader and Writer allocate when they are made, and for an error. Each belongs to
// one goroutine at a time. Zones of addresses are not supported.
package mmsg
