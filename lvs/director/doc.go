// Package director stands between lvs/check, which finds out which real servers
// serve, and lvs, which keeps the kernel's table: it turns what is configured
// and the verdicts of checks into the virtual services that are wanted now, the
// notify scripts to run and the events to tell.
//
// What is wanted of a service is a function of its configuration, the verdicts
// and one bit of memory, whether quorum was there (table.go, pool.go; pure). The
// core owns all pools and takes what came in since its last step (core.go, pure;
// time is a value). Director is the shell around it: Run is one goroutine that
// owns the core; no other is started.
//
// # The rules, which are keepalived's
//
//   - A server is up when all its checks are. One without checks is up.
//   - Its weight is the configured one and what its checks add to it: a check
//     that asks for a weight adds the difference. With weight 2, two checks that
//     ask for 10 and for 5 make 13.
//   - A server that is down leaves the table, or with inhibit_on_failure stays
//     with weight 0.
//   - Quorum is gained when the weights of the servers that are up reach quorum +
//     hysteresis, and lost below quorum - hysteresis, thus always at 0.
//   - While quorum is lost the sorry server stands alone in the table: the
//     servers that are left go as if they were down. Without a sorry server they
//     stay. With sorry_server_inhibit it stays with weight 0 while there is
//     quorum.
//   - A service tells from the start whether it has quorum. A server that is up
//     from the start is not told; one that begins down (alpha) is told when an
//     attempt has found it so.
//   - ha_suspend stops the checks of a service while none of its addresses is
//     held here; verdicts stay as they are. A service of marks only has no
//     address to go by and is always checked.
//   - With omega, notify_down and quorum_down run when the director stops.
//   - What is configured no more tells that it is down, if it was up, whatever
//     omega says.
//
// A director that goes on where another one stopped is given what that one told last
// (ToldQuorum, ToldDown), and tells what is still so as Again, without scripts.
//
// With Desired.Agree a server that is down by the checks of this node is used all the
// same until a majority of the directors that are sure of it see it down (agree.go). One
// that nobody else is known to look at goes at once, and so does one that all see down.
//
// Where it differs from keepalived: verdicts that came in together count
// together, so that quorum does not flap between them; a reload that adds alpha
// to a server leaves it up, where keepalived takes it down; ha_suspend knows the
// addresses of a virtual_server_group; a server reached by DR or TUN, which leave
// ports alone, has the port of each service of a group.
//
// # Reloads
//
// Apply changes what differs. A check is known by its checker, or else by its
// kind, within its server, so what is known of it outlives changes around it, and
// a reload never makes a server flap. Each change of state is one Put with the
// services that it changed, and none if it changed none.
package director
