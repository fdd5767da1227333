// Package e2e tells what users do and what breaks, with real daemons in the
// namespaces of e2e/lab. It holds tests only and sees no package of the
// product but the generated API. It needs root, bin/ as make build leaves it,
// and Debian's keepalived and FRR.
package e2e
