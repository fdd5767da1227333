package sim

import (
	"os"
	"runtime/debug"
	"testing"
)

// A run makes much short-lived garbage and keeps little, so it is collected
// rarely.
func TestMain(m *testing.M) {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(256 << 20)
	os.Exit(m.Run())
}
