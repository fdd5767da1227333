package check

// damper turns the results of attempts into up or down. It is pure.
//
// A server that is up, or assumed to be, goes down when 1 + retry attempts in a
// row have failed; the retries come after delay_before_retry. One that is down
// is tried at its turns only, and comes up after rise successes in a row.
type damper struct {
	retry, rise int
	up          bool
	known       bool // decided by attempts, not assumed
	streak      int  // results in a row against up
}

// newDamper returns a damper that assumes up, or down with alpha.
func newDamper(s Settings) damper {
	d := damper{up: !s.Alpha}
	d.set(s)
	return d
}

// set changes the rules and keeps what is known.
func (d *damper) set(s Settings) { d.retry, d.rise = max(s.Retry, 0), max(s.Rise, 1) }

// doubt keeps up and forgets what it came from: the target is another one, or
// has not been looked at for a while.
func (d *damper) doubt() { d.known, d.streak = false, 0 }

// add takes the result of one attempt. changed: up is another, or is now known.
// again: the next attempt is a retry.
func (d *damper) add(ok bool) (changed, again bool) {
	if ok == d.up {
		d.streak = 0
		changed = !d.known
		d.known = true
		return changed, false
	}
	d.streak++
	switch {
	case ok && d.streak < d.rise:
		return false, false
	case !ok && d.streak <= d.retry:
		return false, true
	}
	d.up, d.known, d.streak = ok, true, 0
	return true, false
}
