package plane

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/hacluster/hacluster/internal/netif"
	"github.com/hacluster/hacluster/vrrp"
)

// kernel is netif as the engine wants it. Virtual addresses are the engine's;
// static ones come from whoever applies a configuration, hence the mutex.
type kernel struct {
	mu       sync.Mutex
	addrs    *netif.Addresses // guarded by mu
	announce *netif.Announcer // the engine's goroutine only
}

func (k *kernel) Claim(instance string, addrs []vrrp.Address, routes []vrrp.Route, lifetime time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.addrs.Claim(instance, addresses(addrs), netifRoutes(routes), lifetime)
}

func (k *kernel) Release(instance string, addrs []vrrp.Address, routes []vrrp.Route) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.addrs.Release(instance, addresses(addrs), netifRoutes(routes))
}

func (k *kernel) Renew(except ...string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.addrs.Renew(except...)
	if errors.Is(err, netif.ErrLapsed) {
		return fmt.Errorf("%w: %w", vrrp.ErrLapsed, err)
	}
	return err
}

// setStatic makes the addresses and routes that are present regardless of any
// state what is given.
func (k *kernel) setStatic(addrs []vrrp.Address, routes []vrrp.Route) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.addrs.SetStatic(addresses(addrs), netifRoutes(routes))
}

// guard gives the addresses that this machine may have only while it holds them.
func (k *kernel) guard(addrs map[netip.Addr]string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.addrs.Guard(addrs)
}

// evict removes guarded addresses that are not held.
func (k *kernel) evict() ([]netif.Evicted, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.addrs.Evict()
}

// gateway is where the default route on an interface leads.
func (k *kernel) gateway(iface string, f netif.Family) (netip.Addr, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.addrs.Gateway(iface, f)
}

func (k *kernel) Announce(list []vrrp.Announcement) error {
	out := make([]netif.Announcement, len(list))
	for i, a := range list {
		out[i] = netif.Announcement(a)
	}
	return k.announce.Announce(out)
}

func addresses(list []vrrp.Address) []netif.Address {
	out := make([]netif.Address, len(list))
	for i, a := range list {
		out[i] = netif.Address(a)
	}
	return out
}

func netifRoutes(list []vrrp.Route) []netif.Route {
	out := make([]netif.Route, len(list))
	for i, r := range list {
		out[i] = netif.Route(r)
	}
	return out
}
