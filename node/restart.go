package node

import (
	"encoding/json"
	"fmt"

	"github.com/hacluster/hacluster/node/balance"
	"github.com/hacluster/hacluster/node/membership"
	"github.com/hacluster/hacluster/node/plane"
)

// A planned restart (F26): the supervisor has an heir waiting. This process stops
// without letting go, hands over its legacy and exits; the heir goes on with it.

// legacy is what a process leaves to its heir.
type legacy struct {
	plane.Legacy
	membership.Life // zero when standalone or in no cluster
	balance.Known
}

// legacyOf reads what was handed over; the zero value: nothing that counts.
func legacyOf(o Options) legacy {
	var l legacy
	if len(o.Inherited) == 0 {
		return legacy{}
	}
	if err := json.Unmarshal(o.Inherited, &l); err != nil || l.Format != plane.LegacyFormat {
		o.Log.Warn("what the process before handed over is not understood; starting as after a crash", "format", l.Format, "err", err)
		return legacy{}
	}
	return l
}

// bequeath hands the legacy over. This process exits then, and must do nothing
// else: the heir waits for its end.
func (o *Options) bequeath(l legacy) error {
	state, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	return o.Supervisor.Bequeath(state)
}

// handOver stops the engine without letting go. Everything else ends with the
// process, as in a crash, which it is made for; the heir waits for that end.
func (m *member) handOver() (l legacy, err error) {
	m.with((*membership.Membership).SayRestart)
	m.cluster.StepDown()
	if l.Legacy, err = m.plane.Freeze(); err != nil {
		return legacy{}, err
	}
	m.with(func(s *membership.Membership) { l.Life = s.HandOver() })
	l.Known = m.lb.HandOver()
	return l, nil
}
