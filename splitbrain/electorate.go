package splitbrain

import "slices"

// electorates is what a node knows of who votes (R6e). Only one that is stored
// durably is used and told on, because a restart must not bring back an older
// one: the others rely on that. Records carry it, so that a node that is cut off
// from Raft hears of it.
type electorates struct {
	stored Electorate
	newest Electorate
	asked  uint64 // epoch of the latest one that was given to be stored
}

// learn takes an electorate, from Raft or from a record.
func (e *electorates) learn(n Electorate) {
	if n.Epoch > e.newest.Epoch && n.check() == nil {
		e.newest = Electorate{n.Epoch, slices.Clone(n.Voters)}
	}
}

// keep takes an electorate that is stored durably, and reports whether it is
// another one than before.
func (e *electorates) keep(n Electorate) bool {
	e.learn(n)
	if n.Epoch <= e.stored.Epoch || n.check() != nil {
		return false
	}
	e.stored = Electorate{n.Epoch, slices.Clone(n.Voters)}
	return true
}

// toStore gives the electorate that is to be stored, once.
func (e *electorates) toStore() *Electorate {
	if e.newest.Epoch <= max(e.stored.Epoch, e.asked) {
		return nil
	}
	e.asked = e.newest.Epoch
	n := e.newest
	return &n
}
