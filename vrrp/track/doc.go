// Package track runs the check scripts of virtual routers (vrrp_script) and
// reports when one goes up or down, dampened by rise and fall.
//
// Damper is pure. Tracker is the shell: one goroutine for each script, which
// ends when the script is taken out or Run returns.
package track
