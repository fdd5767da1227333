package balance

import (
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/internal/run"
	"github.com/hacluster/hacluster/lvs/director"
	"github.com/hacluster/hacluster/lvs/ipvs"
)

// Wanted is a state made ready to run.
type Wanted struct {
	balance   desired.Balance
	desired   director.Desired
	unmanaged []netip.Addr
	timeouts  ipvs.Timeouts
}

// Prepare makes a state ready. It refuses one that cannot run here: the account of
// a script does not exist, or no kernel takes a service.
func Prepare(state desired.State) (Wanted, error) {
	d, err := state.Balance.Director(func(u desired.User) (*run.User, error) { return run.Account(u.Name, u.Group) })
	return Wanted{state.Balance, d, unmanaged(state, d), timeouts(state.Balance.Timeouts)}, err
}

// unmanaged are the addresses of services that no instance of this node brings and
// takes: for ha_suspend they are always here.
func unmanaged(state desired.State, d director.Desired) []netip.Addr {
	virtual := make(map[netip.Addr]bool)
	for _, addrs := range state.VirtualAddresses() {
		for _, a := range addrs {
			virtual[a] = true
		}
	}
	var out []netip.Addr
	for _, s := range d.Services {
		if !s.HASuspend {
			continue
		}
		for _, k := range s.Keys {
			if a := k.Address.Addr(); k.Mark == 0 && !virtual[a] {
				out = append(out, a)
			}
		}
	}
	return out
}

// timeouts are those that are configured; the others are zero.
func timeouts(t config.LVSTimeouts) ipvs.Timeouts {
	value := func(d *time.Duration) time.Duration {
		if d == nil {
			return 0
		}
		return *d
	}
	return ipvs.Timeouts{TCP: value(t.TCP), TCPFin: value(t.TCPFin), UDP: value(t.UDP)}
}
