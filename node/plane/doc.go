// Package plane is the data plane of one node: it puts together the engine of the
// units, the kernel's addresses, the gate, the notify and track scripts, and makes them
// run a desired.State. It lives as long as the process and needs neither the cluster
// nor a disk.
//
// Run starts one goroutine each for the engine, the trackers, the links, the gate and
// the static addresses, and ends with them. What a planned restart hands over stands in
// legacy.go.
package plane
