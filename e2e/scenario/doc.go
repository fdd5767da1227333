// Package scenario is the table of faults F1 to F30 against which hacluster
// promises one holder, and the runner of its rows: it builds the networks and
// the daemons, waits until the first node holds, strikes, watches from a
// namespace of its own, heals, and measures from the capture alone.
//
// The tests of package e2e run each row once; e2e/proof repeats the core ones,
// puts keepalived under the same faults in the same run and writes
// docs/proof.md.
package scenario
