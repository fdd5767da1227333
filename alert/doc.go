// Package alert delivers what observed.Hub knows to people: alerts by script,
// by webhook and by mail, and changes of VRRP states by mail as keepalived does.
//
// Deliver reads a Source, one of the hub's numbered streams, for one Deliverer;
// each runs on a goroutine of its caller's and holds up nobody. What happens
// together is delivered together: a node that dies with 255 units is one mail.
//
// A Desk does that for all whom the configuration names, and changes with it: it
// owns a goroutine for each of them. ToldBy says which node tells of what all see.
package alert
