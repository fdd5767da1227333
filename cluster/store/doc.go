// Package store replicates the cluster's state with Raft (hashicorp/raft): the
// configuration's revisions, the members, the join tokens and the secrets.
//
// The state is held by small machines (see Machine) below one log. A command
// names its machine, its kind and the version of its body; a command that this
// program does not know is refused before it is written, and one that arrives
// from a newer node halts the local state rather than being misapplied.
//
// Every command has a request id. The answers of the last commands are part of
// the state, so a command that is sent again, because a leader died or a
// connection broke, is answered and not carried out twice.
//
// Reads of the local machines are fast and may be old. Store.Sync makes the
// ones after it linearizable: the leader proves that it leads by committing a
// barrier, and the local machines wait for the last command before it.
//
// The package knows nothing of certificates, gossip or what a configuration
// says: revisions are text. It starts Raft's goroutines, one that owns writes to
// the disk, one that watches leadership, and one that stops Raft when the disk
// stalls and opens it anew when the disk answers again; Close ends them.
package store
