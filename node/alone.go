package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/node/examine"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/splitbrain/probe"
	"github.com/hacluster/hacluster/vrrp"
)

// alone is how the cluster asks whether another machine has this node's own address
// (F30). Nil, nobody asks.
func (o *Options) alone() func(netip.Addr, store.Revision) error {
	if o.follows() {
		return nil
	}
	return func(own netip.Addr, ran store.Revision) error {
		err := o.findCopy(own, func() bool { return isVirtual(own, ran.Text, o.Name) })
		if err != nil {
			err = fmt.Errorf("%w, or empty its %s, give it an address of its own, and join it with a token and a name of its own", err, o.DataDir)
		}
		return err
	}
}

// aloneWith asks the same of all addresses from which the units of a state would
// speak: two equal machines would both stay MASTER.
func (o *Options) aloneWith(state desired.State) error {
	if o.follows() {
		return nil
	}
	source, virtual := examine.SourceIn(state), state.VirtualAddresses()
	var own []netip.Addr
	for _, u := range state.Units {
		for i := range u.Spec.Instances {
			own = append(own, source(&u.Spec.Instances[i]))
		}
	}
	slices.SortFunc(own, netip.Addr.Compare)
	var asking errgroup.Group
	for _, a := range slices.Compact(own) {
		asking.Go(func() error { return o.findCopy(a, func() bool { return listed(virtual, a) }) })
	}
	if err := asking.Wait(); err != nil {
		return fmt.Errorf("%w, or give it an address of its own", err)
	}
	return nil
}

// follows reports whether this process goes on where another one stopped or died: the
// supervisor has run since before, and whoever has an address as well came later.
func (o *Options) follows() bool { return o.Supervisor.Heir() || o.Supervisor.AfterDeath() }

// findCopy is an error where another machine has an address of this one, other than a
// virtual one: while the owner of that is away, somebody else holds it rightly.
func (o *Options) findCopy(own netip.Addr, virtual func() bool) error {
	err := probe.AwaitLink(own)
	if err == nil {
		err = probe.FindDuplicate(own)
	}
	_, found := errors.AsType[*probe.DuplicateError](err)
	switch {
	case err == nil:
	case !found:
		o.Log.Warn("not known whether another machine has this node's address", "err", err)
	case virtual():
		o.Log.Info("this node's address is a virtual one, and another machine holds it", "addr", own)
	default:
		return fmt.Errorf("%w: one of the two is a copy, and this one came second; switch the copy off", err)
	}
	return nil
}

// isVirtual reports whether an address is one of the units' in a document.
func isVirtual(own netip.Addr, text, node string) bool {
	cfg, _ := config.CompileWith(syntax.Parse("", text), config.Options{Node: node})
	return listed(desired.For(cfg).VirtualAddresses(), own)
}

// How often a running node asks for its own addresses, and for how long an answer
// counts.
const (
	copyEvery  = 10 * time.Second
	copyMemory = 3 * copyEvery
)

// watchForCopies tells of machines that have one of this node's own addresses, and came
// later: a refused copy, or one that runs no daemon. Nothing else follows from it.
func watchForCopies(ctx context.Context, node string, view *observed.View, own func() []netip.Addr) error {
	ticker := time.NewTicker(copyEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		for _, a := range own() {
			err := probe.FindDuplicate(a)
			if d, found := errors.AsType[*probe.DuplicateError](err); found {
				view.AlertFor(observed.AddressCopied(node, d.Addr, d.Interface, d.MAC, time.Now()), copyMemory)
			}
		}
	}
}

// own are the addresses of a member that nobody else may have.
func (m *member) own() []netip.Addr {
	if m.current.Load() == nil {
		return nil // it speaks from none yet
	}
	return ownAddresses(m.cluster.Status().Advertise.Addr(), m.plane.Engine.Status(), m.running().VirtualAddresses())
}

// own are the addresses from which the units speak.
func (s *standalone) own() []netip.Addr {
	return ownAddresses(netip.Addr{}, s.plane.Engine.Status(), s.running().VirtualAddresses())
}

// ownAddresses are those by which the others know this node, if any do, and from which
// its units speak. IPv6 is left out: an answer there goes to all (RFC 4861 section 7.2.4) and
// would turn their caches to the copy.
func ownAddresses(advertised netip.Addr, units []vrrp.UnitStatus, virtual map[string][]netip.Addr) []netip.Addr {
	addrs := []netip.Addr{advertised}
	for i := range units {
		for j := range units[i].Instances {
			addrs = append(addrs, units[i].Instances[j].Source)
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.DeleteFunc(slices.Compact(addrs), func(a netip.Addr) bool {
		return !a.Is4() || listed(virtual, a)
	})
}

func listed(virtual map[string][]netip.Addr, a netip.Addr) bool {
	for _, addrs := range virtual {
		if slices.Contains(addrs, a) {
			return true
		}
	}
	return false
}
