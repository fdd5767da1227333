// Package netif is the network side of one machine: links as levels, virtual
// addresses with a lease, routes, and their announcement to neighbours.
//
// Addresses adds virtual addresses with a valid lifetime of one second, which
// Renew prolongs: whatever happens to the process, the kernel removes them.
// What it adds it names first in a journal under /run, so that the next
// process can remove what this one left. Static addresses and routes are
// permanent and independent of any state.
//
// Announcer sends gratuitous ARP (RFC 5227 section 3, in the request form that
// keepalived uses) and unsolicited neighbour advertisements (RFC 4861 section
// 7.2.6). Monitor follows links and their addresses by netlink.
//
// Addresses and Announcer start no goroutine and belong to their caller's; so
// does the callback of Monitor.Run, which blocks. All sockets are opened in
// the network namespace of the calling thread.
//
// The package knows nothing of VRRP. Address, Route and Announcement have the
// fields of the types of the same name in package vrrp, so that they convert.
package netif
