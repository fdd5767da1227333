// Package e2e tells what users do and what breaks, with real daemons in the
// namespaces of e2e/lab. It holds tests only and sees no package of the
// product but the generated API. It needs root, bin/ as make build leaves it,
// and Debian's keepalived and FRR.
//
// With HACLUSTER_MARGINS=FILE each wait and each bound writes there how much of
// itself was taken; what takes most of it on a quiet machine is to be looked at
// before it fails.
package e2e
