package alert

import (
	"slices"

	"github.com/hacluster/hacluster/observed"
)

// Source is a numbered stream of what happens on this node.
type Source[T any] struct {
	after   func(seq uint64) ([]T, <-chan struct{})
	number  func(T) uint64
	keep    func(T) bool
	compact func([]T) []T // leaves out what later values of a group replace
	name    func(T) string
}

// Alerts are the changes of the hub's alerts of at least that severity that this
// node is to tell. Of the changes of one alert that come together only the last one is delivered: it
// says when the alert began and when it ended.
func Alerts(hub *observed.Hub, least observed.Severity, tells func(observed.Alert) bool) Source[observed.Alert] {
	return Source[observed.Alert]{
		after:   hub.Alerts,
		number:  func(a observed.Alert) uint64 { return a.Seq },
		keep:    func(a observed.Alert) bool { return a.Severity >= least && tells(a) },
		compact: lastOfEach,
		name:    func(a observed.Alert) string { return a.ID },
	}
}

// Events are those of the hub's events that keep wants.
func Events(hub *observed.Hub, keep func(observed.Event) bool) Source[observed.Event] {
	return Source[observed.Event]{
		after:   hub.Events,
		number:  func(e observed.Event) uint64 { return e.Seq },
		keep:    keep,
		compact: func(all []observed.Event) []observed.Event { return all },
		name:    func(e observed.Event) string { return string(e.Kind) + " of " + e.Unit },
	}
}

// Last is the number of the newest value, 0 if there was none.
func (s Source[T]) Last() uint64 {
	all, _ := s.after(0)
	if len(all) == 0 {
		return 0
	}
	return s.number(all[len(all)-1])
}

// take returns what is to be delivered of what came after a number, the number
// to go on from, how many values are no longer kept, and a channel that is
// closed when there is more.
func (s Source[T]) take(seq uint64) (group []T, next, lost uint64, more <-chan struct{}) {
	all, more := s.after(seq)
	if len(all) == 0 {
		return nil, seq, 0, more
	}
	if first := s.number(all[0]); first > seq+1 {
		lost = first - seq - 1
	}
	next = s.number(all[len(all)-1])
	group = slices.DeleteFunc(all, func(v T) bool { return !s.keep(v) })
	return s.compact(group), next, lost, more
}

// lastOfEach keeps the last change of each alert, in the order of the changes.
func lastOfEach(all []observed.Alert) []observed.Alert {
	last := make(map[string]uint64, len(all))
	for _, a := range all {
		last[a.ID] = a.Seq
	}
	return slices.DeleteFunc(all, func(a observed.Alert) bool { return last[a.ID] != a.Seq })
}
