package gate

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/kclock"
)

// Now reads the clock on which deadlines count, CLOCK_BOOTTIME: the time since
// the machine booted, with the time that it was suspended.
func Now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(fmt.Sprintf("gate: read CLOCK_BOOTTIME: %v", err)) // every kernel that runs the programs has it
	}
	return time.Duration(ts.Nano())
}

// At is the reading of Now's clock at an instant of the raw clock, as near as that
// can be known and never later: whatever passes between the two readings makes it
// earlier.
func At(instant kclock.Instant) time.Duration {
	now := Now()
	return now + instant.Sub(kclock.Now())
}
