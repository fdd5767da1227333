package node

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// view collects what this node knows and publishes it in the hub, from which
// the API and the alerts are served.
type view struct {
	log *slog.Logger
	hub *observed.Hub

	mu    sync.Mutex
	input observed.Input // guarded by mu
}

func newView(log *slog.Logger, self observed.Node, standalone bool) *view {
	v := &view{log: log, hub: observed.NewHub(), input: observed.Input{Self: self, Standalone: standalone}}
	v.update(func(*observed.Input) {})
	v.hub.Record(observed.Event{Time: time.Now(), Node: self.Name, Kind: observed.DaemonChanged, To: "started"})
	return v
}

// update changes what is known and publishes the result.
func (v *view) update(change func(*observed.Input)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change(&v.input)
	v.input.Now = time.Now()
	in := v.input // what it refers to is replaced, never changed
	v.hub.Offer(func() observed.Snapshot { return observed.Build(in) })
}

// known is what this node knows now.
func (v *view) known() observed.Input {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.input
}

func (v *view) units(units []vrrp.UnitStatus) {
	v.update(func(in *observed.Input) { in.Self.Units = units })
}

func (v *view) peers(p splitbrain.PeerView) {
	v.update(func(in *observed.Input) { in.Peers = p })
}

// forget drops what was known of a cluster that this node has left.
func (v *view) forget() {
	v.update(func(in *observed.Input) {
		in.Members, in.Peers, in.Cluster = nil, splitbrain.PeerView{}, observed.Cluster{}
	})
	now := time.Now()
	snapshot, _ := v.hub.Latest()
	for _, a := range snapshot.Alerts {
		a.Resolved = now
		v.alert(a)
	}
}

// running says which revision this node runs, or why it does not run the newest.
func (v *view) running(revision uint64, err error) {
	v.mu.Lock()
	before := v.input.Self.Revision
	v.mu.Unlock()
	v.update(func(in *observed.Input) {
		in.Self.Revision = revision
		in.Self.RevisionError = ""
		if err != nil {
			in.Self.RevisionError = err.Error()
		}
	})
	if revision != before {
		v.record(observed.Event{Kind: observed.ConfigChanged, From: revisionName(before), To: revisionName(revision)})
	}
}

// moved runs on the engine's goroutine.
func (v *view) moved(t vrrp.Transition) {
	v.record(observed.Event{
		Time:     t.At,
		Kind:     observed.StateChanged,
		Unit:     t.Unit,
		Instance: t.Instance,
		From:     t.From.String(),
		To:       t.To.String(),
		Reason:   t.Reason,
	})
}

func (v *view) alert(a observed.Alert) {
	if !v.hub.Raise(a) {
		return
	}
	to, level := "open", slog.LevelWarn
	if !a.Resolved.IsZero() {
		to, level = "resolved", slog.LevelInfo
	}
	v.log.Log(context.Background(), level, "alert", "state", to, "alert", a.Code, "unit", a.Unit, "summary", a.Summary, "evidence", a.Evidence)
	v.record(observed.Event{Kind: observed.AlertChanged, Unit: a.Unit, From: a.Code, To: to, Reason: a.Summary, Evidence: a.Evidence, Peer: a.Peer})
}

func (v *view) record(e observed.Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Node = v.input.Self.Name // set once, by newView
	v.hub.Record(e)
}

func revisionName(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}
