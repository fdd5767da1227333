package node

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/splitbrain/probe"
)

// alone is how the cluster asks whether another machine has this node's address
// (F30). Nil, nobody asks, in a worker that follows another one: the supervisor has
// run since before, and whoever has the address as well came later.
func (o *Options) alone() func(netip.Addr, store.Revision) error {
	if o.Supervisor.Heir() || o.Supervisor.AfterDeath() {
		return nil
	}
	return func(own netip.Addr, ran store.Revision) error {
		err := probe.FindDuplicate(own)
		_, found := errors.AsType[*probe.DuplicateError](err)
		switch {
		case err == nil:
		case !found:
			o.Log.Warn("not known whether another machine has this node's address", "err", err)
		case isVirtual(own, ran.Text, o.Name):
			o.Log.Info("this node's address is a virtual one, and another machine holds it", "addr", own)
		default:
			return fmt.Errorf("%w: one of the two is a copy, and this one came second; switch the copy off, or empty its %s, give it an address of its own, and join it with a token and a name of its own", err, o.DataDir)
		}
		return nil
	}
}

// isVirtual reports whether an address is one of the units' in a document: while its
// owner (priority 255) is away, another member holds it rightly.
func isVirtual(own netip.Addr, text, node string) bool {
	cfg, _ := config.CompileWith(syntax.Parse("", text), config.Options{Node: node})
	for _, addrs := range desired.For(cfg).VirtualAddresses() {
		if slices.Contains(addrs, own) {
			return true
		}
	}
	return false
}
