package version

import (
	"fmt"
	"runtime"
)

// Set by the linker only: never assigned in code.
var (
	Version = "dev"     // the released version without a leading v, or dev
	Commit  = "unknown" // short git commit; unknown when built outside git
)

// String is the line that --version prints: version, commit and Go release.
func String() string {
	return fmt.Sprintf("%s (commit %s, %s)", Version, Commit, runtime.Version())
}
