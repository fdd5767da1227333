package gate

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// Now reads the clock on which deadlines count, CLOCK_BOOTTIME as the kernel's
// programs have it: the time since the machine booted, with the time that it was
// suspended. A process in a time namespace sees that clock shifted; by its own
// reading, a deadline could lie days ahead and the gate would never close.
func Now() time.Duration {
	return kclock.Boottime() - bootShift()
}

// bootShift is by how much this process's time namespace shifts CLOCK_BOOTTIME: a
// fact for its whole life, since only a process with one thread can change it.
var bootShift = sync.OnceValue(func() time.Duration {
	text, err := os.ReadFile("/proc/self/timens_offsets")
	if err != nil {
		return 0 // a kernel without time namespaces
	}
	return parseBootShift(string(text))
})

// parseBootShift reads the line "boottime SECONDS NANOSECONDS" of timens_offsets
// (time_namespaces(7)); seconds may be negative, nanoseconds count upwards.
func parseBootShift(text string) time.Duration {
	for line := range strings.Lines(text) {
		var clock string
		var seconds, nanos int64
		if n, err := fmt.Sscan(line, &clock, &seconds, &nanos); n == 3 && err == nil && clock == "boottime" {
			return time.Duration(seconds)*time.Second + time.Duration(nanos)
		}
	}
	return 0
}

// At is the reading of Now's clock at an instant of the raw clock, as near as that
// can be known and never later: whatever passes between the two readings makes it
// earlier.
func At(instant kclock.Instant) time.Duration {
	now := Now()
	return now + instant.Sub(kclock.Now())
}
