// Package mesh connects the members of a cluster by two channels that do not
// depend on each other's opinion:
//
//   - gossip (SWIM, hashicorp/memberlist) on UDP, its streams through a layer
//     that the caller provides, says who is alive, suspect, dead or gone. A
//     rejoin loop heals partitions, which memberlist by itself does not.
//   - heartbeats on a UDP port of their own carry opaque payloads of at most
//     MaxPayload bytes to every configured member, whatever gossip thinks of it,
//     on every path that there is to it. They are best effort: a datagram is
//     sent once and may be lost, doubled or late.
//
// Both are sealed with one keyring and bound to the cluster's id: what another
// cluster, another key or a stranger sends is dropped and counted. A key holder
// can speak for any member: names inside payloads are claims. Replays are not
// noticed here; who needs order puts sequence numbers into the payload.
//
// The package knows nothing of virtual routers or records.
//
// Run starts the readers of both sockets, the acceptor of streams, the rejoin
// loop and memberlist's own goroutines, and ends them. IPv6 addresses with a
// zone (link-local) are not supported.
package mesh
