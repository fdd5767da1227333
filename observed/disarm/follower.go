package disarm

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/observed"
)

// AlertCode is the code of the alert that stands while the cluster is disarmed.
const AlertCode = "disarmed"

// takeOutTime bounds one attempt to take out an order that has ended. A node that
// cannot reach a majority has counted it to the end for itself all the same.
const takeOutTime = 5 * time.Second

// Follower brings the order that stands to those whom it concerns, on one node.
type Follower struct {
	Node    string
	Log     *slog.Logger
	Machine *Machine
	Arbiter Arbiter
	View    *observed.View
	// Apply has a command carried out by the cluster.
	Apply func(ctx context.Context, operation string, cmd store.Command) ([]byte, error)
}

// Arbiter is who takes no decision on proof until then; zero: it does.
// *splitbrain.Arbiter is one.
type Arbiter interface{ SetDisarmed(until time.Time) }

// Run tells the arbiter and people of the order that stands, and takes it out at
// its end, until ctx is done.
func (f *Follower) Run(ctx context.Context) error {
	shown := "" // the order that is told
	for {
		changed := f.Machine.Changed()
		order, until, standing := f.Machine.Standing()
		if shown != "" && (!standing || order.ID != shown) {
			f.View.Alert(observed.Alert{ID: "disarmed/" + shown, Code: AlertCode, Node: f.Node, Resolved: time.Now()})
			shown = ""
		}
		if standing && shown == "" {
			shown = order.ID
			f.View.Alert(standingAlert(f.Node, order, until))
		}
		f.View.Update(func(in *observed.Input) {
			in.Disarmed = nil
			if standing {
				in.Disarmed = &observed.Disarmed{By: order.By, Reason: order.Reason, Since: order.At, Until: until}
			}
		})
		var ends <-chan time.Time // nil while nothing stands
		if standing {
			f.Arbiter.SetDisarmed(until)
			ends = time.After(time.Until(until))
		} else {
			f.Arbiter.SetDisarmed(time.Time{})
			if ended, ok := f.Machine.Ended(); ok {
				f.takeOut(ctx, ended)
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
func (f *Follower) takeOut(ctx context.Context, o Order) {
	cmd, err := Arm(o.ID, f.Node)
	if err != nil {
		f.Log.Error("order to disarm is not taken out", "err", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, takeOutTime)
	defer cancel()
	if _, err := f.Apply(ctx, "take out an order to disarm", cmd); err != nil {
		// Another node was first, or will be.
		f.Log.Debug("order to disarm is not taken out", "err", err)
	}
}

func standingAlert(node string, o Order, until time.Time) observed.Alert {
	why := ""
	if o.Reason != "" {
		why = ": " + o.Reason
	}
	return observed.Alert{
		ID: "disarmed/" + o.ID, Code: AlertCode, Severity: observed.Warning, Node: node, Since: time.Now(),
		Summary: fmt.Sprintf("%s disarmed the cluster for %v%s; fencing and quick take-over are frozen until %s",
			o.By, o.For, why, until.UTC().Format("15:04:05 MST")),
		Action: "virtual addresses still fail over by VRRP's own timers",
		Next:   "haclusterctl arm",
	}
}
