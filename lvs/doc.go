// Package lvs keeps the virtual services of the kernel's load balancer (IPVS)
// as they should be.
//
// A Service is a Key (protocol, address and port, or a firewall mark), its
// Settings and its Servers. Validate names what no kernel takes. Diff is pure:
// it returns the operations that make what is there into what is wanted, and
// nothing for what is equal already, so that its connections and counters live
// on. The table is never flushed.
//
// Reconciler is the shell and the only writer of the table. It reads the table
// once when it starts and from time to time, and in between works from what it
// knows, so that a change of one service among ten thousand costs one message.
// What the kernel refuses is read again and tried again, ever more seldom; the
// rest goes on.
//
// # What is ours
//
// Whatever was wanted once is ours from then on, whoever made it; all else in
// the table stays and is reported as foreign. What is ours is noted in a journal
// in the run directory before it is made, so that a process that comes after this
// one, or after a crash, removes what is wanted no more, and writes nothing when
// all is right.
//
// # Going gracefully
//
// A server that is wanted no more gets weight 0, keeps its connections until
// they end or until Desired.Drain is over, and is deleted then. The same holds
// for all servers of a service that goes.
//
// # Not here
//
// The package knows nothing of the configuration language, of health checks
// (lvs/check) and of netlink (lvs/ipvs, behind Kernel). Reconciler.Run blocks;
// no other goroutine is started.
package lvs
