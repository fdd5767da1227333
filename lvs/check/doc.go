// Package check finds out which real servers serve: keepalived's checkers and
// what runs them.
//
// A Checker is one kind of check against one target: one file for each kind. It
// makes one attempt, bounded in time and memory, and says what it found in words
// for a person. It knows nothing of intervals, retries or other checks. What an
// attempt cannot find out because this machine lacks something (descriptors, the
// source address, a way through its own firewall) is void: it says nothing of
// the server.
//
// A Scheduler runs the checks of many servers: it owns all timers, spreads first
// attempts, bounds how many run at once, dampens results (pure, in damper.go)
// and reports each change of a Verdict as a value. Run is one goroutine that
// owns all state; each attempt that is under way has one more, which ends with
// the attempt. A check that waits for its turn costs memory only.
//
// What differs from keepalived:
//
//   - All urls of an HTTP check are fetched in one attempt instead of one url
//     each delay_loop, so fast_recovery changes nothing. The whole answer to a
//     url has a bound in time (four times connect_timeout) and in size.
//   - Turns are counted from the start of an attempt, not from its end, so that
//     checks stay spread.
//   - A TCP check ends with a reset, which leaves no connection in TIME_WAIT on
//     the director.
//   - Patterns are RE2's, not PCRE's, and are searched in the first MiB.
//   - A program that cannot be started is void and said; keepalived leaves such
//     a check out when it starts.
//   - FILE_CHECK reads its file at each turn, and is not woken by a change of
//     it.
//
// There is no BFD_CHECK yet: it needs BFD sessions, which are not built. What a
// verdict does to a service (quorum, sorry server, weights in the kernel,
// notify scripts) is package lvs's and what stands above it.
package check
