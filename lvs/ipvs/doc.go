// Package ipvs is the real table behind lvs.Kernel: the generic netlink family
// IPVS of Linux (include/uapi/linux/ip_vs.h).
//
// Many operations go in one send, and the kernel answers those that it refuses
// (internal/nlmsg). Servers have to be asked for service by service, so that
// reading a table costs three system calls for each service.
//
// The messages are our own because github.com/moby/ipvs has one operation and
// one answer at a time, no tunnels, no servers of another family, 16 bits of a
// weight, 32 of a counter, no synchronization daemons and no way to set counters
// to zero. Its timeouts are right, and they are what it is used for (ADR 8).
//
// A Kernel belongs to one goroutine and to the network namespace of the thread
// that opened it. No goroutine is started. Each call is bounded: the kernel
// answers within the send, and an answer that is lost is given up after seconds.
package ipvs
