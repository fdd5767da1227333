// Package preflight looks whether the machines of a cluster can do what VRRP and
// hacluster ask of them: whether IP protocol 112 passes between them by multicast
// and by unicast, who else uses their virtual routers and addresses, and how each
// machine is set up.
//
// All members run Examine at the same time and give a Report; Judge, which is
// pure, makes findings of all Reports, and JudgeJoin of those that concern a node
// which is about to become a member. Machine looks at one machine alone.
//
// The datagram of the test has the protocol of VRRP, because firewalls and
// switches tell traffic by that, and is no advert to anybody: its type is 15,
// which RFC 9568 section 5.2.2 and RFC 3768 section 5.3.2 make receivers discard,
// and its virtual router is 0, which no router can have (1 to 255), so nobody
// even looks for one. It is sent three times by each node and network.
package preflight
