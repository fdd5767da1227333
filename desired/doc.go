// Package desired says what one node should run: it translates a compiled
// configuration into the specifications that the engines own.
//
// It is pure: the same Config gives an equal State, and the caller brings about
// the difference. What the cluster decides from moment to moment (verdicts) goes
// to the units as events and never passes here.
package desired
