// Package balance owns the load balancer of one node: the kernel's table
// (lvs.Reconciler over lvs/ipvs), the checks of real servers (check.Scheduler) and
// what stands between them (director.Director), made to run a desired.State.
//
// Nothing is opened and nothing runs before there is something to do: a virtual
// server is configured, or an earlier process left some. A kernel without IPVS is an
// alert and is tried again from time to time; the virtual addresses are node/plane's,
// and not concerned.
//
// Balancer.Run is one goroutine, which owns all that runs, and starts one each for
// the three above. When it is told to end, the scripts of going down are run (omega),
// checks end, and then the virtual services leave the table, as keepalived does it.
// A process that exits without that, in a planned restart or a crash, leaves the
// table as it is: the next one goes on with it.
package balance
