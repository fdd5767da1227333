// Package fencing switches off members that do not let go. It stands between
// splitbrain, which decides whom to fence, and splitbrain/fence, which runs the agents
// and probes; neither knows the other.
//
// Fencing.Run is one goroutine of its caller's, and owns the Fencer. The agent that
// runs, each proof and the check of the agents have a goroutine each, which ends with
// Run's context.
package fencing
