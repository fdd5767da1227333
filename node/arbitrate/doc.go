// Package arbitrate stands between vrrp, which runs units, and splitbrain, which
// judges them; neither knows the other. It says in splitbrain's words what the units
// of a node are, do and hear, and on which networks, and brings its verdicts back as
// vrrp's events.
//
// It is pure.
package arbitrate
