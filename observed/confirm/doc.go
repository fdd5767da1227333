// Package confirm takes a revision back that nobody has confirmed in time: the edit
// may have cut off the very person who made it.
//
// The wish is committed before the revision, and names the request that makes it, so
// no crash leaves a revision that nobody would take back. Each node counts the time
// itself from the moment at which the wish reached it, so no clock has to agree with
// another one, and nothing depends on the node that was asked, or on who leads. The
// first node that has counted to the end commits that the time is over, after which
// nobody can confirm any more, and then the text of the revision before as the next
// one. A node that starts again meanwhile counts anew, and follows the others.
//
// Without a majority nothing is taken back until there is one again: nothing could
// have been confirmed either.
//
// Machine implements store.Machine. The package starts no goroutine.
package confirm
