package vrrp

import (
	"container/heap"
	"time"
)

// schedule orders units by deadline, those of one moment always in the same
// order: adverts that are due together leave one behind the other, and each would
// otherwise leave a little earlier or later every time. Units without a deadline
// are not in it.
type schedule []*unitShell

// earliest is the first deadline, or the zero time.
func (s schedule) earliest() time.Time {
	if len(s) == 0 {
		return time.Time{}
	}
	return s[0].due
}

// update puts u where its machine's deadline wants it.
func (s *schedule) update(u *unitShell, due time.Time) {
	switch {
	case due.IsZero():
		s.remove(u)
	case u.slot < 0:
		u.due = due
		heap.Push(s, u)
	case !due.Equal(u.due):
		u.due = due
		heap.Fix(s, u.slot)
	}
}

func (s *schedule) remove(u *unitShell) {
	if u.slot >= 0 {
		heap.Remove(s, u.slot)
	}
}

// Len, Less, Swap, Push and Pop are for package heap only.

func (s schedule) Len() int { return len(s) }

func (s schedule) Less(i, j int) bool {
	if s[i].due.Equal(s[j].due) {
		return s[i].order < s[j].order
	}
	return s[i].due.Before(s[j].due)
}

func (s schedule) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].slot, s[j].slot = i, j
}

func (s *schedule) Push(x any) {
	u := x.(*unitShell)
	u.slot = len(*s)
	*s = append(*s, u)
}

func (s *schedule) Pop() any {
	old := *s
	u := old[len(old)-1]
	old[len(old)-1] = nil
	*s = old[:len(old)-1]
	u.slot = -1
	return u
}
