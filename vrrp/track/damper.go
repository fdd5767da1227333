package track

// Damper turns single results into up or down, with keepalived's rules: the
// first result counts at once; afterwards rise successes in a row go up and
// fall failures in a row go down. It is pure.
type Damper struct {
	rise, fall int
	known, up  bool
	streak     int // results in a row against the present state
}

// NewDamper returns a damper that knows nothing yet, or, with initFail, one
// that is down until rise successes. Values below 1 count as 1.
func NewDamper(rise, fall int, initFail bool) Damper {
	return Damper{rise: max(rise, 1), fall: max(fall, 1), known: initFail}
}

// Add takes one result and reports whether the state changed.
func (d *Damper) Add(ok bool) bool {
	if !d.known {
		d.known, d.up = true, ok
		return true
	}
	if ok == d.up {
		d.streak = 0
		return false
	}
	d.streak++
	need := d.fall
	if ok {
		need = d.rise
	}
	if d.streak < need {
		return false
	}
	d.up, d.streak = ok, 0
	return true
}

// Set changes rise and fall and keeps the state.
func (d *Damper) Set(rise, fall int) { d.rise, d.fall = max(rise, 1), max(fall, 1) }

// Up reports the state; it counts when known.
func (d *Damper) Up() (up, known bool) { return d.up, d.known }
