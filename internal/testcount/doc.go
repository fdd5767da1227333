// Command testcount runs the steps of the test suite and counts what they
// found, so that nothing is hidden: builds and linters count as one test each,
// a test that is skipped counts as failed unless a file names it together with
// the kernel feature that it lacks, and a test that never ended counts as
// failed. Failures are shown with their output. The very last line is
//
//	N passed, N failed
//
// and the exit status is 1 when anything failed. Before it stands, when there
// are any, "N not run (FEATURE: n, …)".
//
// Each argument is one step, words separated by spaces:
//
//	step NAME COMMAND…    passed when the command exits 0
//	tests NAME COMMAND…   the command prints what go test -json prints
//
// One after the other, but for those behind the word beside, which run while the
// next one without it does.
package main
