// Command bench measures haclusterd beside keepalived in one run, in the
// namespaces of e2e/lab, and writes tables for docs/. Figures of two machines
// cannot be compared; the two columns of one table can.
//
//	bench failover [-runs N] [-out FILE]
//	bench cost [-time D] [-out FILE]
//	bench heartbeats [-time D] [-out FILE]
//	bench apply [-edits N] [-out FILE]
package main
