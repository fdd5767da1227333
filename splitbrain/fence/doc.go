// Package fence runs fence agents: programs that take the power from a machine,
// by the convention of ClusterLabs (the agents of Debian's fence-agents and
// others). An agent reads name=value lines on its standard input, one of which is
// action=…, and answers by its exit status.
//
// Agent.Fence is one run. Watch checks now and then that the agents would work;
// its Run is one goroutine, which its caller starts. Probe asks a machine whether
// it takes packets for an address, which is the evidence that counts. Who is
// fenced, and when, is decided by splitbrain.Fencer.
package fence
