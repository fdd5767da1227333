// Package neighbours stands between splitbrain, which says what to ask the neighbours
// of a node and judges the answers, splitbrain/probe, which asks, and netif, which knows
// the networks. It follows links, gateways and the addresses of the units, and has
// removed what the node has without holding it (R12).
//
// Run and Probe are one goroutine each of the caller's.
package neighbours
