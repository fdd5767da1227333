package check

import "time"

// Settles bounds how long after a change of the server a verdict may still be the
// one from before: two nodes that make the same check agree by then, whatever the
// difference of their rhythms, if they reach the server alike.
func Settles(c Checker, s Settings) time.Duration {
	loop := s.DelayLoop
	if loop <= 0 {
		loop = DefaultDelayLoop
	}
	attempt := bound(c, loop)
	retries, rise := time.Duration(max(s.Retry, 0)), time.Duration(max(s.Rise, 1))
	// An attempt that began before the change may end well; the next one starts at
	// the next turn after it.
	down := attempt + loop + attempt + retries*(s.DelayBeforeRetry+attempt)
	up := attempt + rise*(loop+attempt)
	return max(down, up)
}

// miscEnds is how long a program may take to end when its time is over.
const miscEnds = 3 * time.Second

// bound is how long one attempt may take, as its kind documents it.
func bound(c Checker, loop time.Duration) time.Duration {
	const answer = 1 + answerTimeouts // connection and answer, in timeouts
	switch c := c.(type) {
	case TCP:
		return c.Target.timeout()
	case DNS:
		return c.Target.timeout()
	case UDP:
		return c.Target.timeout()
	case Ping:
		return c.Target.timeout()
	case HTTP:
		return time.Duration(len(c.URLs)) * answer * c.Target.timeout()
	case SMTP:
		return (1 + 3*answerTimeouts) * c.Target.timeout()
	case Misc:
		if c.Command.Timeout <= 0 {
			return loop
		}
		return c.Command.Timeout + miscEnds
	case File:
		return 0 // a read of some bytes
	default:
		return DefaultTimeout
	}
}
