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
// The rules carry the names of the project's split-brain document. Here are
// R0 (units, records, freshness), R1 (hold), R2 (conflict), R4 (hand-over) and
// R10 (strangers), of R9 the order of succession after a release or a lapse, and
// what stands on probes: R1's dead path, R3 (data path), R5 (isolation), R9.3 (a
// holder whose addresses do not answer), R10's duplicate addresses and the
// verification of G4. A unit is a sync group, or an instance in none; its key is
// its name. The kernel gate (R7) is the business of others.
//
// Policy quorum (R6) stands in the files lease_*.go and quorum.go: voter and
// holder are machines of their own, which the Core feeds from records. What is
// known of the voters is an Electorate; leases are counted by CLOCK_MONOTONIC_RAW.
// What the rules say beyond the document: a voter grants no longer than the next
// life of it would wait, and its answer says for how long; no ballot of a life is
// used twice, granted or not; what has run out is not taken up again under the
// same ballot.
//
// The package knows nothing of sockets, VRRP packets or the mesh: views of the
// own units and datagrams come in, verdicts, datagrams and alerts go out. Time
// comes in as a value with every input.
//
// Two things the caller owes: addresses left over from an earlier life of the
// process are removed before the first record of a new life is sent; and a
// UnitView says Released only after a dump showed that none is left.
package splitbrain
