package sim

import (
	"math/rand/v2"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// clocks is how wrong the clocks of the nodes may be.
type clocks struct {
	raw  float64 // CLOCK_MONOTONIC_RAW, by which leases are counted
	slew float64 // CLOCK_MONOTONIC beside it, as adjtimex can bend it
}

// withinBound is what rule R6b allows for: two raw clocks differ by 2 %, and the
// clock of timers and gates is bent by 10 %.
var withinBound = clocks{raw: 0.01, slew: 0.099}

// clock is one machine's: raw and mono are seconds shown in a true one.
type clock struct {
	raw, mono float64
	offset    kclock.Instant
}

func (c clocks) draw(rng *rand.Rand) clock {
	either := func(most float64) float64 {
		if most == 0 {
			return 1
		}
		switch rng.IntN(3) {
		case 0:
			return 1 + most
		case 1:
			return 1 - most
		default:
			return 1 + most*(2*rng.Float64()-1)
		}
	}
	raw := either(c.raw)
	return clock{raw, raw * either(c.slew), kclock.Instant(rng.Int64N(int64(1000 * time.Hour)))}
}

// local is the time that timers run on, at a true time.
func (c *clock) local(at time.Time) time.Time {
	if c.mono == 1 {
		return at
	}
	return epoch.Add(time.Duration(float64(at.Sub(epoch)) * c.mono))
}

// truly is when the local clock shows at, or just after.
func (c *clock) truly(at time.Time) time.Time {
	if c.mono == 1 {
		return at
	}
	return epoch.Add(time.Duration(float64(at.Sub(epoch))/c.mono) + 2)
}

// instant is what the raw clock shows at a true time.
func (c *clock) instant(at time.Time) kclock.Instant {
	return c.offset + kclock.Instant(float64(at.Sub(epoch))*c.raw)
}
