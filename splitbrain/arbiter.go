package splitbrain

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// Options are the settings of an Arbiter. All callbacks must be set unless said
// otherwise; they are called by its one goroutine, one at a time, and must return
// soon.
type Options struct {
	Node    string // this node's name
	Boot    BootID // this life of the process; see NewBootID
	Cluster uint64 // incarnation of the cluster

	// Seq is the number of the last record of this life that an earlier process
	// sent (Sent); 0: none did.
	Seq uint64
	// Legacy is what an earlier process of this life left (Freeze); empty: nothing.
	Legacy []byte

	// Heartbeat is heartbeat_interval: 10 ms to 10 s; 0: 200 ms. Units with
	// short advert intervals make it shorter (Advert_Int / 5, at least 10 ms).
	Heartbeat time.Duration
	Logger    *slog.Logger

	// Clock reads CLOCK_MONOTONIC_RAW, by which leases are counted; nil:
	// kclock.Now.
	Clock func() kclock.Instant
	// Suspended is for how long the machine has been suspended in all, while which
	// Clock stands still; nil: kclock.Suspended.
	Suspended func() time.Duration
	// Binding is what Keep was given last in the life before this one, if that is
	// known: a voter that has lost its memory waits until then (R6d). Zero: it
	// waits for the longest lease that it may have granted.
	Binding kclock.Instant
	// Keep makes an instant outlive this life, for the Binding of the next one:
	// until then what was granted binds this node. It is called before anybody can
	// hear of a grant that lasts longer than all before, and must not wait. Nil:
	// nothing is kept.
	Keep func(until kclock.Instant)
	// Electorate is the one that was stored last; the zero value: none was.
	Electorate Electorate
	// StoreElectorate is to store an electorate durably, in a goroutine of its
	// own, and to call ElectorateStored then. nil: it counts as stored.
	StoreElectorate func(Electorate)
	// Will gives the newest last will, after each change of what it says. It
	// may be nil.
	Will func(Will)

	// Deliver hands verdicts to the units, a batch at a time, in order.
	Deliver func([]UnitVerdict)
	// Send sends datagrams of at most MaxPayload bytes each to members, on
	// every path that there is. The payloads are not changed afterwards.
	Send func(members []string, payloads [][]byte)
	// Alert tells of a condition that began, looks other than before, or
	// ended.
	Alert func(Alert)
	// Probe sends probes. Their answers come back by Sighted, and what could
	// not be sent by Unsent. Nil: there are none, and no unit has Networks.
	Probe func([]Probe)
	// Verified tells who answers after a change of holder; may be nil.
	Verified func(Verified)
	// Trace is given each decision that differs from the one before it of its
	// unit, for replays. It is not changed afterwards. Nil: nobody wants it.
	Trace func(*Traced)
	// Publish gives the newest view of the members: after each change of
	// substance, and once a second.
	Publish func(PeerView)
}

// Member is another configured member of the cluster.
type Member struct {
	Name   string
	Addrs  []netip.Addr // addresses that are known to be its own
	Gossip Gossip       // what gossip thinks of it

	Witness bool // it votes, and never holds anything

	// Before is what it told an earlier life of this node. Until it speaks itself,
	// what comes from there is not a stranger's.
	Before Identity
}

func (m Member) equal(o Member) bool {
	return m.Name == o.Name && m.Gossip == o.Gossip && m.Witness == o.Witness && slices.Equal(m.Addrs, o.Addrs) && m.Before.equal(o.Before)
}

// Identity is by what a member is told from strangers: the addresses that it sends
// from, and those of its hardware.
type Identity struct {
	Addrs []netip.Addr
	MACs  []MAC
}

func (i Identity) equal(o Identity) bool {
	return slices.Equal(i.Addrs, o.Addrs) && slices.Equal(i.MACs, o.MACs)
}

// Gossip is the membership protocol's opinion of a member. It never moves a
// unit; it is a channel in the evidence.
type Gossip uint8

// Opinions.
const (
	GossipUnknown Gossip = iota
	GossipAlive
	GossipLost // suspected or declared dead
	GossipLeft
)

// AdvertEvidence is an advert that reception refused, or one more that it
// accepted, with what is needed to say whose it is.
type AdvertEvidence struct {
	Unit     string
	From     netip.Addr
	MAC      string // as text; empty when not known
	Priority uint8
	VIPs     []netip.Addr
	Refused  string // why reception refused it; empty when it was accepted
	At       time.Time
}

// Arbiter runs a Core: it owns its state in one goroutine, feeds it from
// mailboxes and carries out what it says. Its methods never block and may be
// called from any goroutine.
type Arbiter struct {
	opts Options
	wake chan struct{} // size one: the inbox has something
	sent atomic.Uint64 // number of the last record

	decoding sync.Mutex // of decoder
	decoder  Decoder

	mu      sync.Mutex // guards inbox and gathers
	inbox   inbox
	gathers bool // Run looks again soon: what gathers need not wake it
}

// inbox holds what has come in since the goroutine last looked. Units,
// members and facts are levels, where the newest replaces the one before; the
// rest are queues.
type inbox struct {
	units    []UnitView
	hasUnits bool
	members  []Member
	hasPeers bool
	facts    []byte
	hasFacts bool
	fencing  *[]FenceWord // nil: as before
	fenced   []FencedLife
	bound    *time.Duration // nil: as before
	electorate,
	stored Electorate // newest by epoch; zero: none
	datagrams []received
	adverts   []AdvertEvidence
	wishes    []wish
	sightings []Sighting
	unsent    []Probe
	macs      []MAC
	hasMACs   bool
	alone     time.Duration // 0: as before
	heartbeat time.Duration // 0: as before
	addrs     []netip.Addr
	hasAddrs  bool
	disarmed  *time.Time    // nil: as before
	leave     chan struct{} // closed when the goodbyes are sent
	freeze    chan<- []byte // gets the legacy
	dropped   uint64        // datagrams refused by Decode, or too many at once
}

type received struct {
	datagram Datagram
	path     string
	at       time.Time
}

type wish struct{ unit, to string }

// maxQueued bounds each queue of an inbox: about a second of records of five
// nodes with 255 units, at the shortest interval.
const maxQueued = 4096

// New makes an Arbiter. It does nothing until Run.
func New(opts Options) *Arbiter {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Clock == nil {
		opts.Clock = kclock.Now
	}
	if opts.Suspended == nil {
		opts.Suspended = kclock.Suspended
	}
	return &Arbiter{opts: opts, wake: make(chan struct{}, 1)}
}

// SetUnits gives the state of all units of this node; the newest call counts,
// and the views are not changed afterwards. It must be called after each change
// of state, tenure, wish, priority or addresses. A unit whose name has more
// than MaxUnitName bytes follows plain VRRP. A unit may be left out when it has
// let go of its addresses: the others are told so, and may take over at once.
func (a *Arbiter) SetUnits(units []UnitView) {
	a.put(func(in *inbox) { in.units, in.hasUnits = units, true })
}

// SetMembers gives all configured members but this node; records of others
// are dropped. The list is not changed afterwards.
func (a *Arbiter) SetMembers(members []Member) {
	a.put(func(in *inbox) { in.members, in.hasPeers = members, true })
}

// SetFacts gives at most MaxFacts bytes that the records carry to all members.
// More is refused.
func (a *Arbiter) SetFacts(facts []byte) error {
	if len(facts) > MaxFacts {
		return fmt.Errorf("heartbeat: facts of %d bytes; at most %d", len(facts), MaxFacts)
	}
	a.put(func(in *inbox) { in.facts, in.hasFacts = facts, true })
	return nil
}

// SetElectorate gives the voters of policy quorum, by Raft.
func (a *Arbiter) SetElectorate(e Electorate) {
	a.put(func(in *inbox) {
		if e.Epoch > in.electorate.Epoch {
			in.electorate = e
		}
	})
}

// SetLeaseBound gives the longest lease of the last three revisions that this
// node has run. It is to be stored durably before: a voter without memory waits
// for as long as it says, and none grants a longer one.
func (a *Arbiter) SetLeaseBound(bound time.Duration) {
	a.put(func(in *inbox) { in.bound = &bound })
}

// ElectorateStored says that what Options.StoreElectorate was given is stored.
func (a *Arbiter) ElectorateStored(e Electorate) {
	a.put(func(in *inbox) {
		if e.Epoch > in.stored.Epoch {
			in.stored = e
		}
	})
}

// SetFencing gives what the records say of fencing until the next call. More than
// fits into a record is dropped.
func (a *Arbiter) SetFencing(words []FenceWord) {
	a.put(func(in *inbox) { in.fencing = &words })
}

// Fenced says that an agent has ended a life of a node: what this node granted it
// is free.
func (a *Arbiter) Fenced(life FencedLife) {
	a.put(func(in *inbox) { in.fenced = append(in.fenced, life) })
}

// Receive takes a datagram that came on the given path at the given time; more
// says that another one follows at once, so that the two are judged together. It
// keeps no reference to payload. The error says why it was dropped.
func (a *Arbiter) Receive(payload []byte, path string, at time.Time, more bool) error {
	a.decoding.Lock()
	d, err := a.decoder.Decode(payload)
	a.decoding.Unlock()
	a.mu.Lock()
	if err != nil || len(a.inbox.datagrams) >= maxQueued {
		a.inbox.dropped++
	} else {
		a.inbox.datagrams = append(a.inbox.datagrams, received{d, path, at})
	}
	a.mu.Unlock()
	if !more {
		a.signal()
	}
	return err
}

// Observe takes an advert as evidence. All that reception accepts should be
// told: UnitView.Heard is only as new as the view that it came in.
//
// Nothing follows from it at once, so it wakes nobody: it is taken into account
// with the next decision, or heartbeat.
func (a *Arbiter) Observe(ev AdvertEvidence) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.inbox.adverts) < maxQueued {
		a.inbox.adverts = append(a.inbox.adverts, ev)
	}
}

// SetMACs gives the hardware addresses of this node's interfaces.
func (a *Arbiter) SetMACs(macs []MAC) {
	a.put(func(in *inbox) { in.macs, in.hasMACs = macs, true })
}

// SetHeartbeat gives heartbeat_interval: 10 ms to 10 s.
func (a *Arbiter) SetHeartbeat(d time.Duration) {
	a.put(func(in *inbox) { in.heartbeat = d })
}

// SetAddrs gives further addresses at which heartbeats reach this node: those of
// mesh_interface. The others are told.
func (a *Arbiter) SetAddrs(addrs []netip.Addr) {
	a.put(func(in *inbox) { in.addrs, in.hasAddrs = addrs, true })
}

// SetAloneAfter gives how long after its start a node that hears nobody waits
// for an answer before it takes over; rules.DefaultAloneAfter where nobody says.
func (a *Arbiter) SetAloneAfter(d time.Duration) {
	a.put(func(in *inbox) { in.alone = d })
}

// Sighted takes answers to probes, and announcements of addresses. They come in
// numbers: those that follow the first ones wait for each other for a moment.
func (a *Arbiter) Sighted(s ...Sighting) {
	a.mu.Lock()
	if len(a.inbox.sightings)+len(s) <= maxQueued {
		a.inbox.sightings = append(a.inbox.sightings, s...)
	}
	gathers := a.gathers
	a.mu.Unlock()
	if !gathers {
		a.signal()
	}
}

// Unsent takes back probes that could not be sent.
func (a *Arbiter) Unsent(probes []Probe) {
	a.put(func(in *inbox) {
		if len(in.unsent)+len(probes) <= maxQueued {
			in.unsent = append(in.unsent, probes...)
		}
	})
}

// RequestHandover asks that the unit move to the named node, this one or
// another. Whether it does is seen in the claims; refusals are logged.
func (a *Arbiter) RequestHandover(unit, to string) {
	a.put(func(in *inbox) {
		if len(in.wishes) < maxQueued {
			in.wishes = append(in.wishes, wish{unit, to})
		}
	})
}

// SetDisarmed freezes quick take-over and fencing until the given time; the zero
// time arms again.
func (a *Arbiter) SetDisarmed(until time.Time) {
	a.put(func(in *inbox) { in.disarmed = &until })
}

// Sent is the number of the last record that was made. It is final when Run has
// returned.
func (a *Arbiter) Sent() uint64 { return a.sent.Load() }

// Freeze ends the work without a goodbye, and returns what the next process of
// this life needs to go on: nothing is granted or sent afterwards. Run goes on
// until its context ends.
func (a *Arbiter) Freeze(ctx context.Context) ([]byte, error) {
	done := make(chan []byte, 1)
	a.put(func(in *inbox) { in.freeze = done })
	select {
	case legacy := <-done:
		return legacy, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Leave says goodbye to all members, three times over, and returns when that
// is sent or ctx is done. The units should have been shut down, and SetUnits
// called with the result, before.
func (a *Arbiter) Leave(ctx context.Context) error {
	done := make(chan struct{})
	a.put(func(in *inbox) { in.leave = done })
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (a *Arbiter) put(f func(*inbox)) {
	a.mu.Lock()
	f(&a.inbox)
	a.mu.Unlock()
	a.signal()
}

func (a *Arbiter) signal() {
	select {
	case a.wake <- struct{}{}:
	default: // it is awake already
	}
}
