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

// misled fails when the gateway has another node than the holder in its cache,
// although the holder could correct that: it has answered alone for longer than it
// takes to announce twice, and reached the gateway from the beginning, or ever since
// nothing at all went between them. Where announcements were lost now and then, no
// probe of the holder may have shown it.
func (c *checker) misled(t time.Time) {
	n, r := c.sole, &c.w.router
	if c.w.around != withGateway || n == nil || r.cache == n || r.cache == nil {
		return
	}
	if r.alien {
		return // nothing tells the holder that it has ceased to announce itself
	}
	path, cut := c.path[n.index], c.cutoff[n.index]
	if path.IsZero() || path.After(c.soleFrom) && (!path.Equal(cut.to) || cut.from.After(c.soleFrom)) {
		return
	}
	if r.cachedAt.After(n.heldFrom) {
		// The other one held beside it: the holder must have heard that it let go.
		heard := c.contactWith(n, r.cache)
		if heard.IsZero() || heard.After(c.soleFrom) {
			return
		}
	}
	if t.Sub(later(c.soleFrom, path)) > c.bySlowest(announceDelay)+time.Second {
		c.fail("G4: %s alone holds the VIP since %v and reaches the gateway since %v, which sends to %s",
			n.name, c.soleFrom.Sub(epoch), path.Sub(epoch), r.cache.name)
	}
}

// contactWith is since when a node and another member have heard each other on good
// links; zero: they do not, or the other one is no node of the cluster.
func (c *checker) contactWith(n, o *node) time.Time {
	if o.index >= len(c.w.nodes) {
		return c.soleFrom // its adverts are heard or they are not: VRRP has settled it
	}
	return c.contact[n.index][o.index]
}
