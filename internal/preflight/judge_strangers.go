package preflight

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// routers looks for virtual routers of others.
func (j *judge) routers() {
	type key struct {
		vrid int
		from netip.Addr
		ipv6 bool
	}
	seen := map[key]bool{}
	for _, r := range j.reports {
		for _, heard := range r.Routers {
			k := key{heard.VRID, heard.Source, heard.IPv6}
			if _, ours := j.addrs[heard.Source]; ours || seen[k] {
				continue
			}
			seen[k] = true
			what := fmt.Sprintf("%s advertises virtual router %d (version %d, priority %d) on %s of %s", heard.Source, heard.VRID, heard.Version, heard.Priority, heard.Interface, r.Node)
			n, used := r.uses(heard)
			switch {
			case !used:
				j.add(Finding{Severity: Note, Check: "vrid", Node: r.Node, Summary: what + ", which this cluster does not use"})
			case slices.Contains(n.AllowForeign, heard.Source):
				j.add(Finding{Severity: Note, Check: "vrid", Node: r.Node, Summary: what + ", as allow_foreign or unicast_peer says"})
			default:
				j.add(Finding{
					Severity: Error, Check: "vrid", Node: r.Node, TwoHolders: true,
					Summary: what + ", and is no member",
					Remedy:  fmt.Sprintf("stop it, or give virtual router %d another virtual_router_id in one of the two; if it belongs there, name it in allow_foreign", heard.VRID),
				})
			}
		}
	}
}

// uses returns the network of the report on which a router's number is ours too.
func (r *Report) uses(heard Router) (Network, bool) {
	i := slices.IndexFunc(r.Networks, func(n Network) bool {
		return n.Interface == heard.Interface && n.IPv6 == heard.IPv6 && slices.Contains(n.VRIDs, heard.VRID)
	})
	if i < 0 {
		return Network{}, false
	}
	return r.Networks[i], true
}

// responders looks who answers for virtual addresses.
func (j *judge) responders() {
	fabric := j.fabric()
	type answer struct{ macs, nodes, strangers []string }
	byAddr := map[netip.Addr]*answer{}
	asked := false
	for _, r := range j.reports {
		vips := map[netip.Addr]bool{}
		for _, n := range r.Networks {
			for _, a := range n.VIPs {
				vips[a], asked = true, true
			}
		}
		for _, p := range r.Responders {
			if !vips[p.Addr] || slices.Contains(fabric, p.MAC) {
				continue
			}
			a := byAddr[p.Addr]
			if a == nil {
				a = &answer{}
				byAddr[p.Addr] = a
			}
			if slices.Contains(a.macs, p.MAC) {
				continue
			}
			a.macs = append(a.macs, p.MAC)
			if node := j.macs[p.MAC]; node == "" {
				a.strangers = append(a.strangers, p.MAC)
			} else if !slices.Contains(a.nodes, node) {
				a.nodes = append(a.nodes, node)
			}
		}
	}
	bad := false
	for _, addr := range sortedKeys(byAddr) {
		a := byAddr[addr]
		switch {
		case len(a.strangers) > 0:
			bad = true
			j.add(j.stranger(addr, a.strangers))
		case len(a.nodes) > 1:
			bad = true
			slices.Sort(a.nodes)
			j.add(Finding{
				Severity: Error, Check: "vip", TwoHolders: true, Summary: fmt.Sprintf("%s is answered for by %s", addr, strings.Join(a.nodes, " and ")),
				Evidence: a.macs, Remedy: "haclusterctl status; if the address moved just now, try again; if a node that holds nothing has it by other means, take it from there",
			})
		}
	}
	switch {
	case len(fabric) > 0:
		j.add(Finding{
			Severity: Note, Check: "vip",
			Summary:  "the network answers for every address itself, so who has a virtual address cannot be told by ARP or neighbour discovery",
			Evidence: fabric,
		})
	case asked && !bad:
		j.add(Finding{Severity: OK, Check: "vip", Summary: "no stranger answers for a virtual address"})
	}
}

// stranger words that no member answers for an address. A router that is allowed
// to hold it may be the one.
func (j *judge) stranger(addr netip.Addr, macs []string) Finding {
	f := Finding{
		Severity: Error, Check: "vip", TwoHolders: true, Summary: fmt.Sprintf("%s is answered for by %s, which is no member", addr, join(macs)),
		Remedy: fmt.Sprintf("find that machine by its hardware address (switch, DHCP) and take %s from it, or choose another virtual address", addr),
	}
	for _, r := range j.reports {
		for _, heard := range r.Routers {
			if n, used := r.uses(heard); used && slices.Contains(n.VIPs, addr) && slices.Contains(n.AllowForeign, heard.Source) {
				return Finding{
					Severity: Note, Check: "vip",
					Summary: fmt.Sprintf("%s is answered for by %s, which is no member: %s, which may hold it, advertises now", addr, join(macs), heard.Source),
				}
			}
		}
	}
	return f
}

// fabric lists the strangers that answer for members' own addresses too: the
// network itself, as in some clouds. Their answers prove nothing.
func (j *judge) fabric() []string {
	var out []string
	for _, r := range j.reports {
		for _, p := range r.Responders {
			if _, own := j.addrs[p.Addr]; own && !j.virtual(p.Addr) && j.macs[p.MAC] == "" && !slices.Contains(out, p.MAC) {
				out = append(out, p.MAC)
			}
		}
	}
	return out
}

// virtual reports whether an address is a virtual one. Its holder lists it among
// its own.
func (j *judge) virtual(a netip.Addr) bool {
	return slices.ContainsFunc(j.reports, func(r *Report) bool {
		return slices.ContainsFunc(r.Networks, func(n Network) bool { return slices.Contains(n.VIPs, a) })
	})
}

func sortedKeys[V any](m map[netip.Addr]V) []netip.Addr {
	var out []netip.Addr
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}
