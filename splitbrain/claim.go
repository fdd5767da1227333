package splitbrain

import (
	"hash/fnv"
	"net/netip"
	"slices"
	"time"
)

// HashVIPs is a fingerprint of a set of addresses, whatever their order.
func HashVIPs(vips []netip.Addr) uint64 {
	return hashSorted(sortedVIPs(vips))
}

func sortedVIPs(vips []netip.Addr) []netip.Addr {
	sorted := slices.Clone(vips)
	slices.SortFunc(sorted, netip.Addr.Compare)
	return slices.Compact(sorted)
}

func hashSorted(vips []netip.Addr) uint64 {
	h := fnv.New64a()
	var b []byte
	for _, a := range vips {
		b = appendAddr(b[:0], a)
		h.Write(b)
	}
	return h.Sum64()
}

// listVIPs is as many of the addresses as a claim may list.
func listVIPs(sorted []netip.Addr) []netip.Addr {
	n := 0
	for i, a := range sorted {
		if n += 1 + a.BitLen()/8; n > MaxClaimVIPs {
			return sorted[:i]
		}
	}
	return sorted
}

// vipSummary is the part of a claim that changes with the configuration only.
type vipSummary struct {
	of   []netip.Addr
	hash uint64
	list []netip.Addr
}

func (s *vipSummary) update(vips []netip.Addr) {
	if s.hash != 0 && slices.Equal(s.of, vips) {
		return
	}
	sorted := sortedVIPs(vips)
	*s = vipSummary{of: slices.Clone(vips), hash: hashSorted(sorted), list: listVIPs(sorted)}
}

// claim is what this node says of a unit at the given time.
func (u *ownUnit) claim(now time.Time) Claim {
	v := &u.view
	c := Claim{
		Unit: v.Name, Policy: v.Policy, State: v.State, StateAge: max(now.Sub(v.Since), 0), Wants: v.Wants,
		Eligible: v.Eligible && v.State != Fault,
		Tenure:   v.Tenure,
		Priority: v.Priority, Primary: v.Primary,
		Yielded: u.memory.yielded,
		VIPHash: u.vips.hash, VIPs: u.vips.list,
	}
	if !v.Heard.At.IsZero() {
		c.Heard, c.HeardPriority = v.Heard.From, v.Heard.Priority
		c.HeardAge = max(now.Sub(v.Heard.At), 0)
	}
	u.sayProbes(now, &c)
	if v.State == Master || v.Tenure.Seq == 0 || !v.Released {
		return c
	}
	c.Released = true
	if r := u.memory.release; r.request != 0 && !r.failed {
		c.Reserved = Reservation{Request: r.request, For: r.to, Span: r.span}
		if at := u.memory.released; !at.IsZero() {
			c.Reserved.Age = max(now.Sub(at), 0)
		}
	}
	return c
}

// fingerprint is of what a claim says, without its ages: when it changes, the
// others should hear of it at once.
func (c Claim) fingerprint() uint64 {
	c.StateAge, c.HeardAge, c.Reserved.Age = 0, 0, 0
	c.PathAge, c.Sight = 0, Sight{} // others need a sight only now and then
	c.Heard, c.HeardPriority = netip.Addr{}, 0
	var b [512]byte
	h := fnv.New64a()
	h.Write(appendClaim(b[:0], &c))
	return h.Sum64()
}
