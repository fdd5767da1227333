package splitbrain

import (
	"net/netip"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
	"github.com/hacluster/hacluster/internal/rules"
)

// claimMemory is how long a claim is remembered while its author lives on.
const claimMemory = time.Minute

// Core is the arbiter without its shell: it takes what happens with the time,
// and Step says what to do. It has no lock, clock or goroutine.
type Core struct {
	node      string
	heartbeat time.Duration // configured
	interval  time.Duration // present: Advert_Int / 5 of the quickest unit at most (R0)
	window    time.Duration // how long the slowest unit lets a record count
	table     *Table
	given     []Member // by SetMembers
	started   time.Time

	units   map[string]*ownUnit
	order   []*ownUnit // as given
	parted  []parted
	leases  leases
	sources []netip.Addr
	addrs   []netip.Addr // those of sources that no unit gives
	facts   []byte
	fencing []datedFenceWord
	macs    []MAC
	scout   scout

	aloneAfter time.Duration

	refusals []datedRefusal
	invites  []datedInvite
	strays   map[strayKey]*stray
	former   map[netip.Addr]time.Time // of members that are none any more; since when
	alerts   map[alertKey]*shownAlert
	pruned   time.Time // when old claims were last dropped
	judged   time.Time // when the alerts were last brought up to date

	lastRun time.Time // when anything was last done
	seq     uint64
	sentAt  time.Time
	credit  time.Time // when the spacing would have allowed the last record
	urgent  bool      // the next record goes as soon as the spacing allows
	leaving int       // goodbyes still to send
	left    bool
	tracing bool      // whether decisions are traced
	frozen  time.Time // until then a person has disarmed this node; zero: armed
	changed bool      // something that people would see
	blocked bool      // a unit may be, see ownUnit
	newWill bool      // what Will says has changed
	relays  []OutRelay
	view    View   // scratch
	peers   []Peer // scratch
}

// Output is what Step wants done: first the verdicts, then the rest.
type Output struct {
	Verdicts []UnitVerdict
	Record   *Record  // to be sent to all of To
	To       []string // every configured member
	Relays   []OutRelay
	Alerts   []Alert // conditions that began or ended
	Changed  bool    // View has changed in substance
	Left     bool    // the last goodbye is in Record

	NewWill bool // Will says something else than before
	// Store is to be stored durably, and ElectorateStored to be called then.
	Store    *Electorate
	Refused  []Refused
	Probes   []Probe // to be sent
	Verified []Verified
	Traced   []*Traced // decisions that differ from the one before, if asked for
}

// Refused is a hand-over that this node asked for and did not get.
type Refused struct {
	Unit   string
	Reason string
}

// OutRelay is a record of another member for one that lacks it.
type OutRelay struct {
	To       string
	Datagram Datagram
}

// NewCore returns a Core that begins its life at now. A heartbeat of 0 means
// rules.DefaultHeartbeat.
func NewCore(node string, boot BootID, cluster uint64, heartbeat time.Duration, now time.Time) *Core {
	if heartbeat == 0 {
		heartbeat = rules.DefaultHeartbeat
	}
	c := &Core{
		node: node, heartbeat: min(max(heartbeat, rules.MinHeartbeat), rules.MaxHeartbeat), started: now,
		table:  NewTable(node, boot, cluster),
		units:  make(map[string]*ownUnit),
		strays: make(map[strayKey]*stray),
		former: make(map[netip.Addr]time.Time),
		alerts: make(map[alertKey]*shownAlert),
		leases: leases{self: owner{node, boot}, holders: make(map[string]*holder)},
		urgent: true,
		scout:  newScout(boot),

		aloneAfter: rules.DefaultAloneAfter,
	}
	c.pace()
	return c
}

// Step decides what is to be decided by now and says what to do. Leases are
// counted from raw, a reading of CLOCK_MONOTONIC_RAW taken after all that was
// received and before anything is sent.
func (c *Core) Step(now time.Time, raw kclock.Instant) Output {
	var out Output
	c.ran(now)
	if !c.frozen.IsZero() && !c.disarmed(now) {
		c.SetDisarmed(time.Time{}) // what was held back is decided now
	}
	c.vote(now, raw)
	c.partLeases(raw)
	out.Store = c.leases.elect.toStore()
	decided := false
	c.look(now, &out)
	for _, u := range c.order {
		if u.dirty || !u.wake.IsZero() && !now.Before(u.wake) && !u.putOff(now) {
			c.decide(now, raw, u, &out)
			decided = decided || len(u.alerts) > 0 || len(c.alerts) > 0
		}
	}
	c.expire(now)
	if decided || now.Sub(c.judged) >= c.interval {
		c.judge(now, &out)
	}
	out.Relays, c.relays = c.relays, nil
	c.look(now, &out) // what the rules want to know is asked at once
	out.Probes, c.scout.jobs = c.scout.jobs, nil
	if c.due(now) {
		c.send(now, raw, &out)
	}
	out.Changed, c.changed = c.changed || len(out.Alerts) > 0, false
	out.NewWill, c.newWill = c.newWill, false
	return out
}

// expire drops what was repeated long enough, and now and then what is known
// of units that are no more.
func (c *Core) expire(now time.Time) {
	if now.Sub(c.pruned) >= claimMemory {
		c.pruned = now
		c.table.prune(now.Add(-claimMemory))
	}
	c.refusals = slices.DeleteFunc(c.refusals, func(r datedRefusal) bool { return now.After(r.until) })
	c.invites = slices.DeleteFunc(c.invites, func(v datedInvite) bool { return now.After(v.until) })
}
