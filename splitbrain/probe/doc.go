// Package probe asks the neighbours who has an address, and hears who says that
// he has it: the shell of package splitbrain's probes.
//
// IPv4 is asked by ARP (RFC 826), with the sender address 0.0.0.0 where no cache
// may change (RFC 5227 section 2.1.1). IPv6 is asked by neighbour solicitations
// (RFC 4861 section 4.3) from the link-local address, with its own link-layer
// address in them: one from the unspecified address would be answered by
// multicast with the override flag, and so turn the caches of all neighbours.
// Answers come by unicast. What is announced by multicast is heard as well.
//
// For each interface and family there is one packet socket with a filter for
// the addresses that matter, and one goroutine that reads it; there are at most
// MaxSockets of them. Run's goroutine owns everything else, opens the sockets
// in its own network namespace and sends. An interface that goes away is asked
// again when it is back. Each interface takes a bounded number of probes a
// second; those beyond it are handed back, as are those that could not be sent,
// because what was not asked is not silent.
//
// The package decides nothing: when to ask, and what an answer means, is
// splitbrain's.
package probe
