package observed

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// View collects what this node knows and publishes it in its Hub, from which
// the API and the alerts are served. Its methods may be called from anywhere, and
// do not block.
type View struct {
	Hub *Hub

	log *slog.Logger

	mu    sync.Mutex
	input Input                  // guarded by mu
	ends  map[string]*time.Timer // of AlertFor, by alert ID; guarded by mu
}

// NewView returns a view in which nothing is known but the node itself.
func NewView(log *slog.Logger, self Node, standalone bool) *View {
	v := &View{log: log, Hub: NewHub(), input: Input{Self: self, Standalone: standalone}, ends: make(map[string]*time.Timer)}
	v.Update(func(*Input) {})
	v.Hub.Record(Event{Time: time.Now(), Node: self.Name, Kind: DaemonChanged, To: "started"})
	return v
}

// Update changes what is known and publishes the result.
func (v *View) Update(change func(*Input)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change(&v.input)
	v.input.Now = time.Now()
	in := v.input // what it refers to is replaced, never changed
	v.Hub.Offer(func() Snapshot { return Build(in) })
}

// Known is what this node knows now.
func (v *View) Known() Input {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.input
}

// Units says what the units of this node are and do.
func (v *View) Units(units []vrrp.UnitStatus) {
	v.Update(func(in *Input) { in.Self.Units = units })
}

// Peers says what the members say.
func (v *View) Peers(p splitbrain.PeerView) {
	v.Update(func(in *Input) { in.Peers = p })
}

// Forget drops what was known of a cluster that this node has left.
func (v *View) Forget() {
	v.Update(func(in *Input) {
		in.Members, in.Peers, in.Cluster = nil, splitbrain.PeerView{}, Cluster{}
	})
	now := time.Now()
	snapshot, _ := v.Hub.Latest()
	for _, a := range snapshot.Alerts {
		a.Resolved = now
		v.Alert(a)
	}
}

// Running says which revision this node runs, or why it does not run the newest.
func (v *View) Running(revision uint64, err error) {
	v.mu.Lock()
	before := v.input.Self.Revision
	v.mu.Unlock()
	v.Update(func(in *Input) {
		in.Self.Revision = revision
		in.Self.RevisionError = ""
		if err != nil {
			in.Self.RevisionError = err.Error()
		}
	})
	if revision != before {
		v.Record(Event{Kind: ConfigChanged, From: revisionName(before), To: revisionName(revision)})
	}
}

// Moved records a change of state of a unit or an instance.
func (v *View) Moved(t vrrp.Transition) {
	v.Record(Event{
		Time:     t.At,
		Kind:     StateChanged,
		Unit:     t.Unit,
		Instance: t.Instance,
		From:     t.From.String(),
		To:       t.To.String(),
		Reason:   t.Reason,
	})
}

// Alert opens, renews or ends an alert. What changes nothing is not recorded.
func (v *View) Alert(a Alert) {
	if !v.Hub.Raise(a) {
		return
	}
	to, level := "open", slog.LevelWarn
	if !a.Resolved.IsZero() {
		to, level = "resolved", slog.LevelInfo
	}
	v.log.Log(context.Background(), level, "alert", "state", to, "alert", a.Code, "unit", a.Unit, "summary", a.Summary, "evidence", a.Evidence)
	v.Record(Event{Kind: AlertChanged, Unit: a.Unit, From: a.Code, To: to, Reason: a.Summary, Evidence: a.Evidence, Peer: a.Peer})
}

// AlertFor opens or renews an alert that ends by itself when it was not renewed for
// that long.
func (v *View) AlertFor(a Alert, d time.Duration) {
	v.Alert(a)
	v.mu.Lock()
	defer v.mu.Unlock()
	if t := v.ends[a.ID]; t != nil {
		t.Stop()
	}
	v.ends[a.ID] = time.AfterFunc(d, func() {
		a.Resolved = time.Now()
		v.Alert(a)
	})
}

// Record keeps what happened on this node; now, unless the event says when.
func (v *View) Record(e Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Node = v.input.Self.Name // set once, by NewView
	v.Hub.Record(e)
}

func revisionName(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}
