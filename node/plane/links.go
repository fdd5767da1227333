package plane

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/hacluster/hacluster/internal/netif"
	"github.com/hacluster/hacluster/vrrp"
)

// linksChanged runs on the monitor's goroutine.
func (p *Plane) linksChanged(changed []netif.LinkState) {
	p.linkMu.Lock()
	defer p.linkMu.Unlock()
	first := p.links == nil
	if first {
		p.links = make(map[string]bool)
	}
	links := make([]vrrp.Link, 0, len(changed))
	for _, l := range changed {
		p.links[l.Name] = !l.Gone
		links = append(links, vrrp.Link{
			Name:  l.Name,
			Index: l.Index,
			Gone:  l.Gone,
			Up:    l.Up,
			MTU:   l.MTU,
			Addrs: slices.Concat(l.Addrs, l.Leased),
		})
		if l.Up {
			select {
			case p.linkUp <- struct{}{}:
			default: // one request covers all links
			}
		}
	}
	// An engine that has stopped needs no links.
	_ = p.Engine.SetLink(context.Background(), links...)
	if p.o.Links != nil {
		p.o.Links(changed)
	}
	if first {
		p.tellMissing()
	}
}

// tellMissing tells the engine of links that units name and that do not exist:
// nobody else would, and the units would wait instead of being FAULT. The
// caller holds linkMu.
func (p *Plane) tellMissing() {
	if p.links == nil {
		return // the first listing tells
	}
	missing := make(map[string]vrrp.Link)
	for _, u := range *p.specs.Load() {
		for _, i := range u.Instances {
			for _, t := range i.Watches() {
				if name, ok := strings.CutPrefix(t.Key, vrrp.InterfaceKey("")); ok && !p.links[name] {
					missing[name] = vrrp.Link{Name: name, Gone: true}
				}
			}
			if !p.links[i.Interface] {
				missing[i.Interface] = vrrp.Link{Name: i.Interface, Gone: true}
			}
		}
	}
	_ = p.Engine.SetLink(context.Background(), slices.Collect(maps.Values(missing))...)
}

// restoreStatic owns no state: it puts back static addresses and routes that
// the kernel removed together with a link. It ends with ctx.
func (p *Plane) restoreStatic(ctx context.Context) error {
	for {
		select {
		case <-p.linkUp:
		case <-ctx.Done():
			return nil
		}
		p.applying.Lock()
		var err error
		if len(p.state.Addresses)+len(p.state.Routes) > 0 {
			err = p.kernel.setStatic(p.state.Addresses, p.state.Routes)
		}
		p.applying.Unlock()
		if err != nil {
			p.o.Log.Warn("static addresses are not complete", "err", err)
		}
	}
}
