// Package journal keeps, in a file of the run directory, which things in the
// kernel are there because of us: addresses, entries of IPVS. A line with + is
// written before a thing is made, and one with - that takes it back after it was
// removed:
//
//   - lease eth0 192.0.2.100/24
//   - tcp 192.0.2.1:80 server 10.0.0.1:80
//
// The file is only appended to, so that a torn write costs its last line at most,
// and rewritten in one rename when it holds much that is past. Like what it names it
// does not survive a boot: nothing is synced.
package journal
