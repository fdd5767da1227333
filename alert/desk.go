package alert

import (
	"context"
	"log/slog"
	"reflect"

	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/observed"
)

// Desk tells people what the hub knows: those that the configuration which runs
// names.
type Desk struct {
	log   *slog.Logger
	hub   *observed.Hub
	tells func(observed.Alert) bool // whether this node is to tell it

	states chan desired.State // size one: the newest counts
}

// NewDesk returns a desk that tells the alerts that tells names.
func NewDesk(log *slog.Logger, hub *observed.Hub, tells func(observed.Alert) bool) *Desk {
	return &Desk{log: log.With("component", "alert"), hub: hub, tells: tells, states: make(chan desired.State, 1)}
}

// Set says what runs from now on. It does not block, and is called by one goroutine
// at a time.
func (desk *Desk) Set(state desired.State) {
	select {
	case <-desk.states: // Run has not seen the one before
	default:
	}
	desk.states <- state
}

// Run delivers until ctx is done. It owns the deliveries, one goroutine each.
func (desk *Desk) Run(ctx context.Context) error {
	running := make(map[string]*delivery)
	// The first receivers are told everything since the start, later ones what
	// happens after they were named.
	everything := true
	for {
		select {
		case state := <-desk.states:
			desk.replace(ctx, running, desk.receivers(state), everything)
			everything = false
		case <-ctx.Done():
			desk.replace(ctx, running, nil, false)
			return context.Cause(ctx)
		}
	}
}

// receiver is somebody to tell.
type receiver struct {
	key   string // identity: a receiver of the same key takes over where this one stops
	name  string // for the log; URLs of webhooks are secrets
	value any    // a receiver with an equal value is the same one and goes on

	last    func() uint64
	deliver func(ctx context.Context, seq uint64, log *slog.Logger) uint64
}

// delivery is a receiver that is being told.
type delivery struct {
	receiver
	cancel context.CancelFunc
	ended  chan uint64 // how far it came
}

// replace makes running what is wanted. It waits for those that end, which
// have a last attempt each.
func (desk *Desk) replace(ctx context.Context, running map[string]*delivery, want []receiver, everything bool) {
	wanted := make(map[string]receiver, len(want))
	for _, r := range want {
		wanted[r.key] = r
	}
	var ending []*delivery
	for key, d := range running {
		if r, ok := wanted[key]; !ok || !reflect.DeepEqual(r.value, d.value) {
			d.cancel()
			ending = append(ending, d)
			delete(running, key)
		}
	}
	came := make(map[string]uint64, len(ending))
	for _, d := range ending {
		came[d.key] = <-d.ended
	}
	for key, r := range wanted {
		if running[key] != nil {
			continue
		}
		seq, known := came[key]
		if !known && !everything {
			seq = r.last()
		}
		own, cancel := context.WithCancel(ctx)
		d := &delivery{receiver: r, cancel: cancel, ended: make(chan uint64, 1)}
		running[key] = d
		go func() { d.ended <- r.deliver(own, seq, desk.log.With("receiver", r.name)) }()
	}
}
