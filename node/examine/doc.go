// Package examine looks at a node for the doctor: it puts together what the node runs,
// or would run, and what it knows with the tests of package preflight.
package examine
