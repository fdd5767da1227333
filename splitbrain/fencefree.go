package splitbrain

import "github.com/hacluster/hacluster/internal/kclock"

// Fenced says that an agent has ended a life of a node. What this node granted it
// is free from the next Step on: nobody is left to use it (R11).
func (c *Core) Fenced(life FencedLife) {
	c.leases.ended = append(c.leases.ended, owner{life.Node, life.Boot})
	c.urgent = true
}

// end frees all grants of a life that is over, and the requests that it left.
func (v *voter) end(now kclock.Instant, of owner) {
	for _, b := range v.units {
		if b.grant.owner == of && now < b.grant.until {
			b.grant.until = now
		}
		if i := b.find(of); i >= 0 {
			b.standing[i].until = now // settle drops it
		}
	}
}
