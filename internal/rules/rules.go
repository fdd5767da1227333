// Package rules has the numbers of docs/split-brain.md that more than one package
// goes by, so that what a document may say and what the arbiter does cannot
// differ. It computes with durations and does nothing else.
package rules

import "time"

// Heartbeats (R0).
const (
	DefaultHeartbeat = 200 * time.Millisecond
	MinHeartbeat     = 10 * time.Millisecond
	MaxHeartbeat     = 10 * time.Second

	// DefaultAloneAfter is how long after its start a node that hears nobody waits
	// for an answer before it takes over (R5).
	DefaultAloneAfter = 30 * time.Second
)

// The lease L of policy quorum (R6).
const (
	MinLease = 500 * time.Millisecond
	MaxLease = 60 * time.Second

	// MinLeaseWithoutGate is the shortest of a unit without a gate: addresses with
	// a lifetime of one second, which the kernel removes up to 1.05 s late, stay
	// within it (R7b), and half a second is left for the voters to answer, two
	// heartbeats and more.
	MinLeaseWithoutGate = 3 * time.Second

	// LeaseMargin is what a holder leaves of its share of a lease, and within what
	// a gate closes.
	LeaseMargin = 20 * time.Millisecond
)

// DefaultLease is L of a unit whose slowest instance sends adverts at the given
// interval.
func DefaultLease(advert time.Duration) time.Duration { return max(2*advert, MinLease) }

// Usable is for how long a lease counts for its holder, from a reading of the
// clock before it built its request (R6b): the clock behind the kernel's timeouts
// may be slewed by 10 %, two raw clocks differ by 2 % at most, and a gate may
// close LeaseMargin late.
func Usable(lease time.Duration) time.Duration { return lease*85/100 - LeaseMargin }

// SilentAfter is when a holder is silent at the latest whose lease was granted for
// a request made now: its own clock may be 10 % slow (R6i).
func SilentAfter(lease time.Duration) time.Duration { return Usable(lease)*11/10 + LeaseMargin }
