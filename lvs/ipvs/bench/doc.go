// Command bench measures how fast a table of many services is programmed,
// changed and found right, beside ipvsadm, keepalived and moby/ipvs, and writes
// what it found as a document. It runs where the kernel has IPVS, as root: make
// bench-lvs runs it in a guest.
//
// Each measurement has a network namespace of its own, and after each the table
// is read and compared, so that nobody is fast by doing less.
package main
