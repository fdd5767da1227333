// Package runner makes a node run what its cluster commits: it compiles each revision
// for the node, has it applied, and says what runs. A revision that cannot run leaves
// the one before in place.
//
// The package starts no goroutine.
package runner
