package sim

import "time"

// This file is the checker of G4: the gateway sends packets for the VIP to its holder.

// cutoff is the latest time in which nothing could go between a node and the gateway
// and back.
type cutoff struct{ from, to time.Time } // to is zero while it lasts

func (c *cutoff) note(cut bool, now time.Time) {
	switch {
	case cut && (c.from.IsZero() || !c.to.IsZero()):
		*c = cutoff{from: now}
	case !cut && !c.from.IsZero() && c.to.IsZero():
		c.to = now
	}
}

// noteSole notes since when one node alone answers.
func (c *checker) noteSole(answering int, holding []*node) {
	var sole *node
	if answering == 1 && len(holding) == 1 {
		sole = holding[0]
	}
	if sole != c.sole {
		c.sole, c.soleFrom = sole, c.w.now
	}
}

// misled fails when the gateway has another machine than the holder in its cache,
// although the holder could correct that: it has answered alone for longer than it
// takes to announce twice, and reached the gateway from the beginning, or ever since
// nothing at all went between them. Where announcements were lost now and then, no
// probe of the holder may have shown it.
func (c *checker) misled(t time.Time) {
	n, r := c.sole, &c.w.router
	if c.w.around != withGateway || n == nil || r.cache == n || r.cache == nil {
		return
	}
	path, cut := c.path[n.index], c.cutoff[n.index]
	if path.IsZero() || path.After(c.soleFrom) && (!path.Equal(cut.to) || cut.from.After(c.soleFrom)) {
		return
	}
	from, patience := later(c.soleFrom, path), announceDelay
	if r.cachedAt.After(n.heldFrom) && !c.heardItLetGo(n, r.cache) {
		// The other one held beside it, and the holder knows of nothing but what that
		// announced, if it has seen that.
		seen := n.rivals[r.cache]
		if seen.said.Before(r.said) || !seen.seen.After(n.heldFrom) || path.After(seen.seen) {
			return
		}
		from, patience = later(from, seen.seen), defends
	}
	if t.Sub(from) > c.bySlowest(patience)+time.Second {
		c.fail("G4: %s alone holds the VIP since %v and reaches the gateway since %v, which sends to %s",
			n.name, c.soleFrom.Sub(epoch), path.Sub(epoch), r.cache.name)
	}
}

// defends is within what time a holder that was announced against announces itself:
// a second later, but no more often than each 10 s (RFC 5227 section 2.4).
const defends = 11 * time.Second

// heardItLetGo reports whether a holder has heard another one let go: a member by its
// records, a stranger that VRRP settles things with by its adverts.
func (c *checker) heardItLetGo(n, o *node) bool {
	if o == c.w.stranger.node {
		return c.w.stranger.followed()
	}
	heard := c.contact[n.index][o.index]
	return !heard.IsZero() && !heard.After(c.soleFrom)
}
