// Package realserver makes a machine a real server of a director that sends it
// packets as they are (DR) or packed into others (TUN): it gives the machine the
// virtual address, and keeps its neighbours from learning that it has it.
//
// An address is a host address on a device that answers no ARP: lo for DR, a tunnel
// for TUN. An IPv4 one has scope host and an IPv6 one is deprecated from the start
// (RFC 4862 section 5.5.4), so that neither is a source address of the machine's own
// connections. For IPv4 there are settings of the kernel beside it:
//
//	arp_ignore 1    of all: answer ARP only for addresses of the interface asked
//	arp_announce 2  of all: never name the virtual address as the sender of ARP
//	rp_filter 2     of a tunnel: its packets come from clients, whose way back is
//	                another interface; loose, because of strict the larger counts
//
// A setting that is right already is nobody's business and stays. IPv6 needs none:
// a node answers for an address only where it has it.
//
// What was done, and what was before, stands in a journal that outlives a boot, so
// that Restore does it again and Down takes back exactly that: an address that was
// there before stays, a setting gets its former value when the last address that
// needs it goes, and keeps what somebody else gave it since.
//
// A Machine is for one goroutine, in the network namespace of its thread; a lock
// file keeps other processes out. No goroutine is started and no daemon is needed.
package realserver
