// Package splitbrain decides, with what all members say of themselves, who
// holds a unit of virtual addresses: it keeps a second holder from arising
// when adverts are lost, ends a conflict, and hands units over.
//
// The parts, from pure to shell:
//
//	Record, Encode, Decode   what a heartbeat says, and its datagrams
//	Table                    what is known of every member, and how long ago
//	Probe, Sighting, Echo    what is asked of the neighbours, and what that showed
//	Decide                   one unit at one moment: View → Decision
//	Core                     Table, memory and Decide as one sans-I/O machine
//	Arbiter                  the shell: one goroutine, mailboxes, a timer
//	Fencer                   whom to fence, and whom to vote for (R11); package fence runs agents
//
// The rules carry the names of docs/split-brain.md:
//
//	R0   units, records, what is fresh             record.go, table.go, receive.go, pace.go, send.go
//	R1   hold, and the path that is dead           hold.go, deadpath.go
//	R2   conflict                                  conflict.go
//	R3   the own data path                         datapath.go
//	R4   hand-over                                 handover.go
//	R5   isolation                                 isolation.go
//	R6   the lease of policy quorum                lease*.go, quorum.go, electorate.go
//	R7c  what is said when this process has died   will.go
//	R8   a machine that was suspended, a set-back  sleep.go, lease_core.go
//	R9   quick take-over and its order             proof.go, hold.go
//	R10  strangers, duplicate addresses            channels.go, duplicate.go
//	R11  whom to fence                             fenc*.go
//	G4   neighbours point at the holder            announce.go, verify.go
//
// A unit is a sync group, or an instance in none; its key is its name. The gate in
// the kernel (R7) is kept open by the engine of the units and closed by the
// supervisor, the journal of addresses (R12) is the kernel side's: here are the
// lease that the gate is opened for, and the words that follow when it is closed.
//
// Policy quorum (R6) stands in the files lease_*.go and quorum.go: voter and
// holder are machines of their own, which the Core feeds from records. What is
// known of the voters is an Electorate; leases are counted by CLOCK_MONOTONIC_RAW.
// What the rules say beyond the document: a voter grants no longer than the next
// life of it would wait, and its answer says for how long; a life that is told until
// when the one before is bound waits until then; no ballot of a life is used twice,
// granted or not; what has run out is not taken up again under the same ballot.
//
// The package knows nothing of sockets, VRRP packets or the mesh: views of the
// own units and datagrams come in, verdicts, datagrams and alerts go out. Time
// comes in as a value with every input.
//
// Two things the caller owes: addresses left over from an earlier life of the
// process are removed before the first record of a new life is sent; and a
// UnitView says Released only after a dump showed that none is left.
package splitbrain
