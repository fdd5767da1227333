package splitbrain

import (
	"time"

	"github.com/hacluster/hacluster/internal/rules"
)

// sleeper notices that the machine was suspended, by what the clocks say that
// count it: CLOCK_BOOTTIME is ahead of where it was (R8).
type sleeper struct {
	total func() time.Duration // in all; never less than it was
	known time.Duration
}

// slept is for how long the machine was suspended since the last call; 0: no
// longer than the margin of a lease allows for. The clocks behind total are read one
// after the other, so a process that is put off in between reads too much, and
// never too little: what looks like a suspend is read again.
func (s *sleeper) slept() time.Duration {
	total := s.total()
	for range 2 {
		if total-s.known < rules.LeaseMargin {
			break
		}
		total = min(total, s.total())
	}
	d := total - s.known
	if d < rules.LeaseMargin {
		return 0 // what is known stays, so that nothing adds up unseen
	}
	s.known = total
	return d
}
