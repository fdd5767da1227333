// Package vrrp runs virtual routers: RFC 3768 (version 2), RFC 5798 and
// RFC 9568 (version 3), with keepalived's extensions: FAULT, nopreempt,
// preempt_delay, tracking weights and sync groups.
//
// Unit is pure: it takes an event and the time and returns what to do. It is a
// sync group, or an instance in none: its members, each of them a machine of
// RFC 9568 section 6.4, change state together, and it is what the rest of the
// cluster claims, holds and hands over as one. Engine is the shell: it owns all
// units, their sockets and one alarm. It starts one goroutine for each socket,
// which ends with Run.
//
// The product says MASTER, BACKUP and FAULT, as operators and keepalived do:
//
//	here                  RFC 9568                 RFC 5798, RFC 3768
//	Master                Active Router            Master
//	Backup                Backup Router            Backup
//	masterDownInterval    Active_Down_Interval     Master_Down_Interval
//	masterAdverInterval   Active_Adver_Interval    Master_Adver_Interval
//	skewTime              Skew_Time                Skew_Time
//
// The package knows nothing of cluster, mesh or configuration language. What
// the cluster decides arrives as verdicts (Hold, TakeOver, Yield, Members).
package vrrp
