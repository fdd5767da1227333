// Package cluster makes machines into one cluster: it composes the certificates
// (pki), the replicated state (store) and the gossip (mesh), and owns what they
// share: the data directory, the TLS port, and the road of a node from waiting
// over init or join to member, and out again.
//
// One TLS port serves everything, told apart by ALPN (RFC 7301): h2 for gRPC,
// hacluster-raft/1 for Raft, hacluster-gossip/1 for the streams of the mesh. A
// client without a certificate may do one thing: ask to be admitted, with a
// token. Everybody else must show a certificate whose key stands in the list of
// members.
//
// The package carries configurations and gossip as text and bytes and never
// looks into them.
//
// The data directory holds
//
//	lock           held while a daemon runs; its pid
//	node.json      who this node is; written last by init and join, so that
//	               without it the node is in no cluster
//	pki/           key, certificate, authority
//	raft/          log and snapshots
//	revision.json  the revision that the node last applied
//	mesh.json      members and gossip keys as last known
//
// Run starts the listener, Raft, the mesh and their helpers, and ends them.
package cluster
