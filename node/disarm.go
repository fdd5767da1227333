package node

import (
	"context"
	"fmt"
	"time"

	"github.com/hacluster/hacluster/cluster"
	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/observed/disarm"
	"github.com/hacluster/hacluster/observed/incident"
	"github.com/hacluster/hacluster/splitbrain"
)

// machines makes the further parts of the replicated state, for each membership
// anew.
func (m *member) machines() []store.Machine {
	d, i, e := disarm.NewMachine(time.Now), incident.NewMachine(), cluster.NewElectorates()
	m.disarm.set(d)
	m.records.set(i)
	m.elect.set(e)
	return []store.Machine{d, i, e}
}

// disarmed is the code of the alert that stands while the cluster is disarmed.
const disarmed = "disarmed"

// takeOutTime bounds one attempt to take out an order that has ended. A node that
// cannot reach a majority has counted it to the end for itself all the same.
const takeOutTime = 5 * time.Second

// followDisarm tells the arbiter and people of the order that stands, until ctx
// is done.
func (m *member) followDisarm(ctx context.Context, machine *disarm.Machine, arbiter *splitbrain.Arbiter) error {
	shown := "" // the order that is told
	for {
		changed := machine.Changed()
		order, until, standing := machine.Standing()
		if shown != "" && (!standing || order.ID != shown) {
			m.view.Alert(observed.Alert{ID: "disarmed/" + shown, Code: disarmed, Node: m.o.Name, Resolved: time.Now()})
			shown = ""
		}
		if standing && shown == "" {
			shown = order.ID
			m.view.Alert(disarmedAlert(m.o.Name, order, until))
		}
		m.view.Update(func(in *observed.Input) {
			in.Disarmed = nil
			if standing {
				in.Disarmed = &observed.Disarmed{By: order.By, Reason: order.Reason, Since: order.At, Until: until}
			}
		})
		var ends <-chan time.Time // nil while nothing stands
		if standing {
			arbiter.SetDisarmed(until)
			ends = time.After(time.Until(until))
		} else {
			arbiter.SetDisarmed(time.Time{})
			if ended, ok := machine.Ended(); ok {
				m.takeOut(ctx, ended)
				ends = time.After(time.Minute) // again, if it was not done
			}
		}
		select {
		case <-changed:
		case <-ends:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// takeOut removes an order that this node has counted to its end.
func (m *member) takeOut(ctx context.Context, o disarm.Order) {
	cmd, err := disarm.Arm(o.ID, m.o.Name)
	if err != nil {
		m.log.Error("order to disarm is not taken out", "err", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, takeOutTime)
	defer cancel()
	if _, err := m.cluster.Apply(ctx, "take out an order to disarm", cmd); err != nil {
		// Another node was first, or will be.
		m.log.Debug("order to disarm is not taken out", "err", err)
	}
}

func disarmedAlert(node string, o disarm.Order, until time.Time) observed.Alert {
	why := ""
	if o.Reason != "" {
		why = ": " + o.Reason
	}
	return observed.Alert{
		ID: "disarmed/" + o.ID, Code: disarmed, Severity: observed.Warning, Node: node, Since: time.Now(),
		Summary: fmt.Sprintf("%s disarmed the cluster for %v%s; fencing and quick take-over are frozen until %s",
			o.By, o.For, why, until.UTC().Format("15:04:05 MST")),
		Action: "virtual addresses still fail over by VRRP's own timers",
		Next:   "haclusterctl arm",
	}
}
