// Package run starts the programs that a configuration names: check scripts,
// notify scripts, alert scripts, fence agents.
//
// A program is started without a shell, with a clean environment, in a process
// group of its own, as a given user, with normal scheduling whatever the
// daemon's is, and for a limited time. What could not be started has failed:
// it never counts as a success.
//
// Run blocks its caller. Queue runs notify scripts in order, one goroutine for
// each key that has something to run, and never blocks the caller.
package run
