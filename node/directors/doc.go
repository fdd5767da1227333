// Package directors compares what the directors of a cluster see of the same real
// servers. Each of them checks for itself; a server that one sees down and another one
// sees up for longer than their checks take to come to the same is a partial failure:
// most often the way between one director and that server is broken. That is an
// alert.
//
// What a node sees travels as a word in its heartbeats, beside its other facts: the
// servers that it does not see up, the first sixteen by their keys, and which servers
// it looks at. The words of nodes that do not look at the same servers, that were not
// heard for HeardFor, or that have not made their checks yet say nothing. While all is
// well a word has 12 bytes, and nothing else is sent.
//
// Every director that sees the disagreement raises the alert alike, with one ID, so that
// it is shown once; it is told by the first of those that see the server up, for they
// are most likely to reach somebody. What it was that a director saw is asked of it when
// the alert opens.
//
// The tracker is pure (time is a value). Follower.Run is one goroutine; what it asks
// others when an alert opens has one more each, which ends with the answer or its time.
package directors
