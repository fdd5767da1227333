// Package supervisor keeps the promises of a process that dies.
//
// haclusterd is two processes of one program. The worker does everything; the
// supervisor, its parent, does next to nothing and therefore goes on. While the
// worker lives it deposits its will with the supervisor: what to close and to
// remove, and what to tell the other routers once a dump has shown that it is
// gone. When the worker dies, or is silent for longer than its will allows, the
// supervisor kills and reaps it, carries the will out, and starts it again
// (rule R7c of docs/split-brain.md).
//
// A will is made of clauses with names. Each is complete in itself, small enough
// for one message, and deposited before what it covers is claimed: a message
// that a socket has taken is read by the supervisor whatever becomes of its
// writer, so what is claimed is never ahead of the will. The supervisor knows
// nothing of what it sends: words are ready-made datagrams.
//
// Supervisor is the parent's end, Worker the child's; a pair of connected
// SOCK_SEQPACKET sockets is between them, which tells either of the other's
// end. The supervisor runs in its caller's goroutine and one more, which hands
// on signals; a Worker has one that reads.
//
// A Pledge is the one thing that a worker leaves to the next one when it dies: memory
// that all workers of a supervisor share, with the instant until which they are bound.
//
// The package imports nothing of ours that knows VRRP, the mesh or Raft; a test
// holds the list of its dependencies short.
package supervisor
