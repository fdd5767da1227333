// Package observed holds what a node knows of the cluster as values: a
// Snapshot of every member, its units and who hears whom; Events; and Alerts.
//
// Build and Judge are pure. Build makes a Snapshot of what this node has seen
// itself and of what the others' heartbeats claim. Judge turns a Snapshot into
// a verdict for each virtual address and for the cluster. The Hub keeps the
// newest Snapshot and a bounded past of events and alerts for readers that
// come and go; it starts no goroutine.
package observed
