package vrrp

import "time"

// Unit is what changes state together: a sync group, or one instance in none.
// It is a value of one owner: it has no lock, and starts nothing.
type Unit struct {
	spec UnitSpec
}

// NewUnit returns a unit in INIT. Startup wakes it.
func NewUnit(spec UnitSpec) *Unit { return &Unit{spec: spec} }

// Step applies ev at time now and returns what the shell must do, in order.
// The slice is valid until the next call. An event that names an instance the
// unit does not have is ignored.
func (u *Unit) Step(now time.Time, ev Event) []Action { return nil }

// Deadline is when the shell must next deliver a Tick; zero means never.
func (u *Unit) Deadline() time.Time { return time.Time{} }

// Status describes the unit. The engine adds what only it knows: the counters
// of each instance and the addresses in its LastAdvert.
func (u *Unit) Status() UnitStatus { return UnitStatus{Name: u.spec.Name} }
