package node

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/hacluster/hacluster/splitbrain/probe"
)

// alone is how the cluster asks whether another machine has this node's address
// (F30). Nil, nobody asks, in a worker that follows another one: the supervisor has
// run since before, and whoever has the address as well came later.
func (o *Options) alone() func(netip.Addr) error {
	if o.Supervisor.Heir() || o.Supervisor.AfterDeath() {
		return nil
	}
	return func(own netip.Addr) error {
		err := probe.FindDuplicate(own)
		if _, found := errors.AsType[*probe.DuplicateError](err); found {
			return fmt.Errorf("%w: one of the two is a copy, and this one came second; switch the copy off, or empty its %s, give it an address of its own, and join it with a token and a name of its own", err, o.DataDir)
		}
		if err != nil {
			o.Log.Warn("not known whether another machine has this node's address", "err", err)
		}
		return nil
	}
}
