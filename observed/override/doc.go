// Package override is the replicated set of weights that people gave real servers by
// hand: drained for maintenance, or to send them fewer clients for a while. They
// stand until they are ended; the configuration stays as it is.
//
// Machine implements store.Machine. Follower brings what stands to a node's load
// balancer, and keeps it in a file, so that a node that starts sends no client to a
// server that was drained, before it has heard of the cluster. Alone is the same for a
// node without a cluster. The package starts no goroutine.
package override
