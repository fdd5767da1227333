package scenario

import "slices"

// All is the table, in the order of the numbers. The files that it comes from
// are named after what fails.
func All() []Scenario {
	return slices.Concat(channels(), partitions(), processes(), links(), machines(), endurance())
}

// Policies are those that haclusterd is tried with.
func Policies() []Subject { return []Subject{Mesh, Quorum} }
