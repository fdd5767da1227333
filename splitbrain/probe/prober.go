package probe

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/hacluster/hacluster/internal/mmsg"
	"github.com/hacluster/hacluster/splitbrain"
)

// MaxSockets bounds the sockets, and with them the goroutines, of a Prober.
const MaxSockets = 64

// Bounds of what one interface takes, both families together. A burst is half
// of 255 units that lose their holder at once, three probes each.
const (
	ratePerSecond = 400
	rateBurst     = 400
	maxQueued     = 4096
)

// Options are what a Prober works with. All are required.
type Options struct {
	Log *slog.Logger

	// Sighted gets each answer and announcement of an address that is probed or
	// watched, from several goroutines. It must not block.
	Sighted func(...splitbrain.Sighting)

	// Unsent gets the probes that were not sent: beyond the rate, or the
	// interface could not take them. It must not block.
	Unsent func([]splitbrain.Probe)
}

// Prober sends probes and hears answers. Its methods never block and may be
// called from any goroutine.
type Prober struct {
	opts Options
	wake chan struct{} // size one: the inbox has something
	// failed names ports whose reader ended by itself; size MaxSockets.
	failed chan portKey

	mu    sync.Mutex // guards inbox
	inbox inbox
}

// inbox is what has come in since Run last looked.
type inbox struct {
	probes  []splitbrain.Probe
	watched map[string][]netip.Addr // nil: as before
	links   bool                    // links have changed
}

// New makes a Prober. It does nothing until Run.
func New(o Options) *Prober {
	return &Prober{opts: o, wake: make(chan struct{}, 1), failed: make(chan portKey, MaxSockets)}
}

// Send sends the probes soon. Those that cannot be sent are handed to
// Options.Unsent.
func (p *Prober) Send(probes []splitbrain.Probe) {
	var over []splitbrain.Probe
	p.put(func(in *inbox) {
		n := min(len(probes), maxQueued-len(in.probes))
		in.probes, over = append(in.probes, probes[:n]...), probes[n:]
	})
	if len(over) > 0 {
		p.opts.Unsent(over)
	}
}

// Watch gives, by interface, the addresses whose announcements are to be heard
// although nobody asks for them; the newest call counts.
func (p *Prober) Watch(addrs map[string][]netip.Addr) {
	p.put(func(in *inbox) { in.watched = addrs })
}

// LinksChanged says that an interface came, went or changed.
func (p *Prober) LinksChanged() { p.put(func(in *inbox) { in.links = true }) }

func (p *Prober) put(f func(*inbox)) {
	p.mu.Lock()
	f(&p.inbox)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default: // it is awake already
	}
}

// Run works until ctx is done. It may be called once. Its goroutine opens all
// sockets, so they are in the network namespace of its thread.
func (p *Prober) Run(ctx context.Context) error {
	r := runner{Prober: p, ports: make(map[portKey]*port), buckets: make(map[string]*bucket)}
	defer r.closeAll()
	tidy := time.NewTicker(forgetAfter)
	defer tidy.Stop()
	retry := time.NewTicker(reopenAfter)
	defer retry.Stop()
	for {
		select {
		case <-p.wake:
			p.mu.Lock()
			in := p.inbox
			p.inbox = inbox{}
			p.mu.Unlock()
			r.handle(time.Now(), &in)
		case key := <-p.failed:
			// Its interface is down or gone. It is opened again when it is back.
			if pt := r.ports[key]; pt != nil && pt.conn != nil {
				select {
				case <-pt.done:
					pt.close()
					pt.broken = time.Now()
				default: // a later socket of that name
				}
			}
		case <-retry.C:
			r.openWatched(time.Now())
		case <-tidy.C:
			for _, pt := range r.ports {
				pt.forget(time.Now())
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// runner is the state of Run's goroutine.
type runner struct {
	*Prober
	ports   map[portKey]*port
	buckets map[string]*bucket // by interface
}

func (r *runner) handle(now time.Time, in *inbox) {
	if in.watched != nil {
		r.watch(in.watched)
	}
	if in.links {
		for _, pt := range r.ports {
			if pt.broken = (time.Time{}); pt.conn != nil && pt.changed() {
				pt.close()
			}
		}
	}
	if in.watched != nil || in.links {
		r.openWatched(now)
	}
	r.send(now, in.probes)
}

// watch sets what is heard of without being asked for.
func (r *runner) watch(addrs map[string][]netip.Addr) {
	for _, pt := range r.ports {
		for _, i := range pt.heard {
			i.watched = false
		}
	}
	for iface, list := range addrs {
		for _, a := range list {
			pt := r.port(portKey{iface, a.Is6()})
			if pt == nil {
				continue
			}
			if i := pt.hear(a); i != nil {
				i.watched = true
			}
		}
	}
	for key, pt := range r.ports {
		idle := true
		for _, i := range pt.heard {
			idle = idle && !i.watched && time.Since(i.asked) > forgetAfter
		}
		if idle {
			pt.close()
			delete(r.ports, key)
		}
	}
}

// port is the port of that name; nil when there are too many.
func (r *runner) port(key portKey) *port {
	pt := r.ports[key]
	if pt == nil && len(r.ports) < MaxSockets {
		pt = &port{portKey: key, heard: make(map[netip.Addr]*interest)}
		r.ports[key] = pt
	}
	return pt
}

// openWatched opens what can be opened, so that announcements are heard.
func (r *runner) openWatched(now time.Time) {
	for _, pt := range r.ports {
		r.open(now, pt)
	}
}

func (r *runner) open(now time.Time, pt *port) bool {
	err := pt.open(now, func(in *mmsg.Reader, done chan struct{}) {
		key := pt.portKey
		// It ends when the socket is closed, or the interface goes.
		go func() {
			err := read(in, key.iface, r.opts.Sighted)
			r.opts.Log.Debug("probe socket ended", "iface", key.iface, "err", err)
			close(done)
			select {
			case r.failed <- key:
			default: // as many wait to be looked at as there can be
			}
		}()
	})
	r.say(pt, err)
	return err == nil && pt.conn != nil
}

// say logs a change of what is wrong with a port.
func (r *runner) say(pt *port, err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	if err != nil && pt.why == "" {
		r.opts.Log.Info("no probes on this interface for now", "iface", pt.iface, "err", err)
	}
	pt.why = why
}

// send sends what the rate allows and hands back the rest.
func (r *runner) send(now time.Time, probes []splitbrain.Probe) {
	var unsent []splitbrain.Probe
	// Addresses that are new widen a filter, once, before anything is sent.
	for i := range probes {
		if pt := r.port(portKey{probes[i].Interface, probes[i].Addr.Is6()}); pt != nil {
			if in := pt.hear(probes[i].Addr); in != nil {
				in.asked = now
			}
		}
	}
	failed := func(pr *splitbrain.Probe, err error) {
		r.opts.Log.Debug("probe not sent", "iface", pr.Interface, "addr", pr.Addr, "err", err)
		unsent = append(unsent, *pr)
	}
	for i := range probes {
		pr := &probes[i]
		pt := r.ports[portKey{pr.Interface, pr.Addr.Is6()}]
		if pt == nil || !r.open(now, pt) || !r.bucket(pr.Interface).take(now) {
			unsent = append(unsent, *pr)
			continue
		}
		if err := pt.put(pr); err != nil {
			failed(pr, err)
		}
	}
	for _, pt := range r.ports {
		pt.flush(failed)
	}
	if len(unsent) > 0 {
		r.opts.Unsent(unsent)
	}
}

func (r *runner) closeAll() {
	for _, pt := range r.ports {
		pt.close()
	}
}

func (r *runner) bucket(iface string) *bucket {
	b := r.buckets[iface]
	if b == nil {
		b = &bucket{tokens: rateBurst}
		r.buckets[iface] = b
	}
	return b
}

// bucket bounds how much an interface takes.
type bucket struct {
	tokens float64
	at     time.Time
}

func (b *bucket) take(now time.Time) bool {
	if !b.at.IsZero() {
		b.tokens = min(b.tokens+now.Sub(b.at).Seconds()*ratePerSecond, rateBurst)
	}
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
