package sim

import (
	"os"
	"runtime/debug"
	"testing"
)

// A run makes much short-lived garbage and keeps little.
func TestMain(m *testing.M) {
	debug.SetGCPercent(800)
	os.Exit(m.Run())
}
