package splitbrain

import (
	"net/netip"
	"time"
)

// Verified says that after a change of holder a member that does not hold the
// unit asked for its addresses, and who answered (G4).
type Verified struct {
	Unit   string
	Holder string
	Took   time.Duration // from the first word of the new holder to the answer
	// OK says that the new holder answered, and nobody else. Otherwise Seen is
	// what was seen until the end.
	OK   bool
	Seen SightKind
	At   time.Time // of that answer; zero when not OK
}

// Times of a verification.
const (
	verifyFor   = 5 * time.Second // then it has failed
	verifyFirst = 20 * time.Millisecond
	verifyLast  = time.Second // between two tries at most
)

// verification is the probing of one change of holder.
type verification struct {
	tenure TenureID
	holder string
	began  time.Time
	next   time.Time // when the next probe is due; zero: none is under way
	gap    time.Duration
	asked  bool
}

// verify begins with a tenure that was not seen before.
func (u *ownUnit) newHolder(now time.Time, v *View) {
	tenure := u.memory.holder
	if u.verify.tenure == tenure {
		return
	}
	u.verify = verification{tenure: tenure}
	if u.view.State == Master || len(u.networks) == 0 {
		return
	}
	for i := range v.Peers {
		p := &v.Peers[i]
		// One that has reigned for long was verified by those who saw it come.
		if p.Boot == tenure.Boot && p.Claim.State == Master && p.Claim.StateAge < verifyFor {
			u.verify.holder, u.verify.began = p.Node, now
			u.verify.next, u.verify.gap = now.Add(verifyFirst), verifyFirst
		}
	}
}

// verifies takes the next step of a verification: it looks at the answers to
// the last probe, and sends another one.
func (c *Core) verifies(now time.Time, u *ownUnit, out *Output) {
	v := &u.verify
	if v.next.IsZero() || now.Before(v.next) {
		return
	}
	if u.view.State == Master {
		v.next = time.Time{}
		return
	}
	e := c.survey(now, u)
	kind, node, at := e.sight()
	ok := v.asked && kind == SightOne && node == v.holder && at.After(v.began)
	if took := now.Sub(v.began); ok || took >= verifyFor {
		v.next = time.Time{}
		done := Verified{Unit: u.view.Name, Holder: v.holder, Took: took, OK: ok, Seen: kind}
		if ok {
			done.Took, done.At = at.Sub(v.began), at
		}
		out.Verified = append(out.Verified, done)
		return
	}
	for _, un := range u.networks {
		c.scout.probe(now, un.network, un.vips[0], netip.Addr{})
	}
	v.asked, v.gap = true, min(2*v.gap, verifyLast)
	v.next = now.Add(v.gap)
}
