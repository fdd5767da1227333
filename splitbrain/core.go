package splitbrain

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// Defaults and bounds of the heartbeat.
const (
	DefaultHeartbeat = 200 * time.Millisecond

	DefaultAloneAfter = 30 * time.Second // see Core.SetAloneAfter

	minHeartbeat = 10 * time.Millisecond
	maxHeartbeat = 10 * time.Second
	refusalLife  = 2 * time.Second // how long a refusal is repeated
	inviteLife   = 2 * time.Second // and an invitation
	wishLife     = 5 * time.Second // how long a wish to have a unit here stands
	maxInvites   = 64
	claimMemory  = time.Minute            // that a claim is remembered while its author lives on
	goodbyes     = 3                      // records that say goodbye
	farewells    = 5                      // records that say that a unit is no more
	stallMargin  = 250 * time.Millisecond // by which a timer may be late
	drainTime    = 500 * time.Millisecond // in which what waited in sockets is read
	burst        = 8                      // records that may go without any spacing
)

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
	newWill bool      // what Will says has changed
	relays  []OutRelay
	peers   []Peer // scratch
}

// ownUnit is one unit of this node.
type ownUnit struct {
	view    UnitView
	memory  Memory
	vips    vipSummary
	dirty   bool
	calm    bool // see Decision.Calm
	wake    time.Time
	request *Request
	alerts  []Alert

	blocked bool   // another unit's claim lists one of its addresses
	invited uint64 // the latest invitation followed

	networks []unitNetwork
	evidence []NetworkEvidence // scratch
	volley   volley
	check    time.Time // when the last answers to a burst have had their time
	verify   verification
	path     PathState // as last judged, with what else a claim says of probes
	began    time.Time
	sight    SightKind
	sightOf  BootID
	sightAt  time.Time

	claimed uint64 // tenure for which first stands
	first   uint64 // our first record that claimed it
	said    uint64 // fingerprint of the claim last sent
	traced  gist   // of the last decision
}

// parted is a unit that is no more, for some records to say so.
type parted struct {
	*ownUnit
	records int
}

type datedRefusal struct {
	Refusal
	until time.Time
}

type datedFenceWord struct {
	FenceWord
	at time.Time
}

type datedInvite struct {
	Invite
	until time.Time
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
// DefaultHeartbeat.
func NewCore(node string, boot BootID, cluster uint64, heartbeat time.Duration, now time.Time) *Core {
	if heartbeat == 0 {
		heartbeat = DefaultHeartbeat
	}
	c := &Core{
		node: node, heartbeat: min(max(heartbeat, minHeartbeat), maxHeartbeat), started: now,
		table:  NewTable(node, boot, cluster),
		units:  make(map[string]*ownUnit),
		strays: make(map[strayKey]*stray),
		alerts: make(map[alertKey]*shownAlert),
		leases: leases{self: owner{node, boot}, holders: make(map[string]*holder)},
		urgent: true,
		scout:  newScout(boot),

		aloneAfter: DefaultAloneAfter,
	}
	c.pace()
	return c
}

// SetUnits gives the state of all units of this node. A unit that is left out
// has let go of its addresses, and the others are told so. One whose name has
// more than MaxUnitName bytes cannot be told to them and is ignored: it follows
// plain VRRP.
func (c *Core) SetUnits(units []UnitView) {
	gone := make(map[string]bool, len(c.units))
	for name := range c.units {
		gone[name] = true
	}
	c.order = c.order[:0]
	c.sources = c.sources[:0]
	for _, a := range c.addrs {
		c.addSource(a)
	}
	for _, v := range units {
		if v.Name == "" || len(v.Name) > MaxUnitName {
			continue
		}
		delete(gone, v.Name)
		u := c.units[v.Name]
		if u == nil {
			u = &ownUnit{}
			c.units[v.Name] = u
		}
		heard := u.view.Heard
		u.view, u.dirty = v, true
		u.hear(heard)
		u.vips.update(v.VIPs)
		c.order = append(c.order, u)
		for _, a := range v.Sources {
			c.addSource(a)
		}
		c.addSource(v.Primary)
	}
	c.pace()
	for _, u := range c.order {
		c.noteAccepted(u)
	}
	for name := range gone {
		c.part(c.units[name])
		delete(c.units, name)
		c.changed = true
	}
	c.parted = slices.DeleteFunc(c.parted, func(p parted) bool { return c.units[p.view.Name] != nil })
	c.scout.stale = true
}

// part makes the next records say that a unit is no more.
func (c *Core) part(u *ownUnit) {
	if u.said == 0 {
		return // nobody heard of it
	}
	v := &u.view
	v.Released = v.Released || v.State == Master
	v.State, v.Since, v.Wants, v.Eligible = Init, later(c.started, c.lastRun), WantNothing, false
	c.parted = append(c.parted, parted{u, farewells})
	c.urgent = true
}

// SetHeartbeat gives heartbeat_interval: 10 ms to 10 s. Units with short advert
// intervals or leases still make it shorter.
func (c *Core) SetHeartbeat(d time.Duration) {
	c.heartbeat = min(max(d, minHeartbeat), maxHeartbeat)
	c.pace()
	c.allDirty()
}

// SetAddrs gives further addresses at which heartbeats reach this node, beside
// those that its adverts come from. The others are told.
func (c *Core) SetAddrs(addrs []netip.Addr) {
	if slices.Equal(addrs, c.addrs) {
		return
	}
	c.addrs = slices.Clone(addrs)
	for _, a := range addrs {
		c.addSource(a) // those that are no more go with the next SetUnits
	}
	c.urgent = true
}

func (c *Core) addSource(a netip.Addr) {
	if a.IsValid() && len(c.sources) < MaxAddrs && !slices.Contains(c.sources, a) {
		c.sources = append(c.sources, a)
	}
}

// SetMembers gives all configured members, which are not changed afterwards.
func (c *Core) SetMembers(members []Member) {
	if c.given != nil && slices.EqualFunc(members, c.given, Member.equal) {
		return
	}
	c.given = members
	c.table.SetMembers(members)
	c.scout.stale = true
	c.allDirty()
	c.urgent, c.changed, c.newWill = true, true, true
}

// SetFacts gives what the records carry of this node, at most MaxFacts bytes.
func (c *Core) SetFacts(facts []byte) {
	c.facts = slices.Clone(facts)
	c.urgent = true
}

// SetFencing gives what the records say of fencing; the ages are as of now. More
// than fits into a record is dropped.
func (c *Core) SetFencing(now time.Time, words []FenceWord) {
	for checkFencing(words) != nil {
		words = words[:len(words)-1]
	}
	c.fencing = c.fencing[:0]
	for _, w := range words {
		c.fencing = append(c.fencing, datedFenceWord{w, now.Add(-w.Age)})
	}
	c.urgent = true
}

// SetTracing says whether Output.Traced is wanted.
func (c *Core) SetTracing(on bool) { c.tracing = on }

// SetDisarmed freezes quick take-over (R9) and fencing (R11) until the given
// time, for planned work on the network; the zero time, or one that has passed,
// arms again. VRRP's own timers, hand-overs (R4) and leases are not touched.
func (c *Core) SetDisarmed(until time.Time) {
	c.frozen = until
	c.allDirty()
}

// disarmed reports whether a person has frozen R9 and R11.
func (c *Core) disarmed(now time.Time) bool { return now.Before(c.frozen) }

// Leave makes the next records say goodbye.
func (c *Core) Leave() {
	if c.leaving == 0 {
		c.leaving, c.urgent = goodbyes, true
	}
}

// RequestHandover asks that the unit move to the named node.
func (c *Core) RequestHandover(now time.Time, unit, to string) {
	if to == c.node {
		if u := c.units[unit]; u != nil && u.view.State != Master {
			u.memory.wish, u.dirty = now.Add(wishLife), true
		}
		return
	}
	if len(c.invites) >= maxInvites {
		return
	}
	c.invites = append(c.invites, datedInvite{
		Invite{ID: uint64(now.UnixNano()), Unit: unit, To: to}, now.Add(inviteLife),
	})
	c.urgent = true
}

// Receive takes a datagram that arrived now.
func (c *Core) Receive(now time.Time, d *Datagram, path string) {
	c.ran(now)
	known := c.table.member(d.Record.Node)
	wasLeaving, knew := known != nil && known.leaving, known != nil && c.counts(now, known)
	var facts []byte
	if known != nil {
		facts = known.facts
	}
	m, newLife := c.table.Receive(d, path, now)
	if m == nil {
		return
	}
	moved := c.table.moved
	c.table.moved = false
	if newLife || m.leaving != wasLeaving || !knew || moved {
		c.allDirty()
		c.changed = true
	}
	c.changed = c.changed || !bytes.Equal(facts, m.facts) // people would see it
	if newLife {
		c.scout.stale = true
		c.urgent = true // it knows nothing of us yet
	}
	if !knew {
		m.answered = 0 // what we acknowledged before is old
		m.regained = now
	}
	c.hearLeases(&d.Record)
	for i := range d.Record.Claims {
		if u := c.units[d.Record.Claims[i].Unit]; u != nil {
			u.dirty = u.dirty || !u.calm || !m.claims[u.view.Name].repeated
			c.answer(u, m)
		}
	}
	for _, u := range c.order {
		u.dirty = u.dirty || u.blocked
	}
	for _, r := range d.Record.Requests {
		if u := c.units[r.Unit]; u != nil && r.Tenure.Boot == c.table.boot {
			u.dirty = true
		}
	}
	for _, r := range d.Record.Refusals {
		if r.To == c.table.boot {
			c.allDirty()
		}
	}
	for _, v := range d.Record.Invites {
		if u := c.units[v.Unit]; u != nil && v.To == c.node && u.view.State != Master && u.invited != v.ID {
			u.invited, u.memory.wish, u.dirty = v.ID, now.Add(wishLife), true
		}
	}
	for _, to := range c.table.members {
		if c.table.lacks(to, m, 5*c.interval/2, now) {
			c.relay(to, d)
		}
	}
}

// ran notices that the process stood still: Step is due once in a heartbeat.
// What it reads then may have waited for as long.
func (c *Core) ran(now time.Time) {
	if !c.lastRun.IsZero() && now.Sub(c.lastRun) > c.interval+stallMargin {
		c.table.suspect = now.Add(drainTime)
		for _, u := range c.order {
			// What was held when it stopped has run out in the kernel since.
			u.memory.masterSince = time.Time{}
		}
	}
	c.lastRun = later(c.lastRun, now)
}

// answer sends our record at once when the member claims what we hold, unless
// it has one already that claims and acknowledges as much (R0).
func (c *Core) answer(u *ownUnit, m *member) {
	h := m.claims[u.view.Name]
	if u.view.State != Master || h.State != Master {
		return
	}
	if u.first == 0 || h.answered == 0 || m.answered == 0 || m.heardSeq < max(u.first, h.answered, m.answered) {
		c.urgent = true
	}
}

// noteAnswers notes which claims of MASTER the record in the making is the
// first to acknowledge.
func (c *Core) noteAnswers(u *ownUnit) {
	if u.view.State != Master {
		return
	}
	for _, m := range c.table.members {
		if h := m.claims[u.view.Name]; h != nil && h.State == Master && h.answered == 0 {
			h.answered = c.seq
		}
	}
}

// relay passes a record on as soon as it comes.
func (c *Core) relay(to *member, d *Datagram) {
	c.relays = append(c.relays, OutRelay{To: to.Name, Datagram: Datagram{
		Via: c.node, Age: d.Age, Record: d.Record,
	}})
}

func (c *Core) allDirty() {
	for _, u := range c.order {
		u.dirty = true
	}
}

// spacing is the least time between two records in the long run: whatever
// happens, no more are sent than this allows.
func (c *Core) spacing() time.Duration {
	return min(max(c.interval/10, time.Millisecond), 20*time.Millisecond)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// pace sets what follows from the advert intervals of the units.
func (c *Core) pace() {
	c.interval = c.heartbeat
	for _, u := range c.order {
		if a := u.view.AdvertInterval; a > 0 {
			c.interval = min(c.interval, a/5)
		}
		if u.view.Policy == PolicyQuorum {
			c.interval = min(c.interval, u.view.lease()/10)
		}
	}
	c.interval = max(c.interval, minHeartbeat)
	c.window = 3 * c.interval
	for _, u := range c.order {
		c.window = max(c.window, u.view.fresh(c.interval))
	}
}

// counts reports whether the latest record of a member counts for any unit.
func (c *Core) counts(now time.Time, m *member) bool {
	return m.boot != 0 && now.Sub(m.at) <= max(c.window, 3*m.interval)
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
		if u.dirty || !u.wake.IsZero() && !now.Before(u.wake) {
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

// Deadline is when Step must be called next, if nothing happens before.
func (c *Core) Deadline() time.Time {
	due := c.sentAt.Add(c.interval)
	switch {
	case c.left:
		due = c.sentAt.Add(time.Hour) // nothing is said after the goodbye
	case c.urgent:
		due = c.earliest()
	}
	if at := c.leases.wake; !at.IsZero() && at.Before(due) {
		due = at
	}
	for _, u := range c.order {
		if !u.wake.IsZero() && u.wake.Before(due) {
			due = u.wake
		}
	}
	if at := c.lookAt(); !at.IsZero() && at.Before(due) {
		due = at
	}
	return due
}

func (c *Core) due(now time.Time) bool {
	if c.left {
		return false
	}
	if c.urgent {
		return !now.Before(c.earliest())
	}
	return now.Sub(c.sentAt) >= c.interval
}

// earliest is when the next record may be sent: at once, until burst records
// were sent quicker than the spacing.
func (c *Core) earliest() time.Time { return c.credit.Add(-(burst - 1) * c.spacing()) }

// decide runs the rules for one unit and notes what comes of it.
func (c *Core) decide(now time.Time, raw kclock.Instant, u *ownUnit, out *Output) {
	v := View{
		Now: now, Node: c.node, Boot: c.table.boot, Heartbeat: c.interval,
		Unit: &u.view, Memory: u.memory, Disarmed: c.disarmed(now),
	}
	if u.claimed == u.view.Tenure.Seq {
		v.First = u.first
	}
	if u.view.Policy == PolicyQuorum {
		v.Lease = c.leaseView(u, raw)
	}
	c.gather(&v)
	u.blocked = false
	if u.view.State == Backup {
		if m, h := c.table.elsewhere(u.view.Name, u.vips.list); m != nil {
			v.Elsewhere = &Elsewhere{Node: m.Name, Unit: h.Unit, At: h.at, Interval: m.interval}
			u.blocked = true
		}
	}
	v.Evidence, v.Contact = c.survey(now, u), c.contact()
	v.Started, v.AloneAfter = c.started, c.aloneAfter
	d := Decide(&v)
	if c.tracing {
		c.trace(u, &v, &d, out)
	}
	u.dirty, u.calm, u.wake = false, d.Calm, d.Wake
	u.memory, u.request, u.alerts = d.Memory, d.Request, d.Alerts
	c.heed(now, u, &v, &d)
	if d.Refused != "" {
		out.Refused = append(out.Refused, Refused{u.view.Name, d.Refused})
	}
	for _, verdict := range d.Verdicts {
		out.Verdicts = append(out.Verdicts, UnitVerdict{u.view.Name, verdict})
	}
	for _, r := range d.Refusals {
		c.refuse(now, r)
	}
	c.lease(now, raw, u, &d)
	if said := u.claim(now).fingerprint(); said != u.said {
		u.said = said
		c.urgent, c.changed, c.newWill = true, true, true
	}
	c.urgent = c.urgent || d.Urgent
}

// refuse repeats a refusal in the next records. The request that it answers is
// repeated as well, so it may be there already.
func (c *Core) refuse(now time.Time, r Refusal) {
	r.Reason = r.Reason[:min(len(r.Reason), MaxReason)]
	for i := range c.refusals {
		if old := &c.refusals[i]; old.ID == r.ID && old.To == r.To {
			old.until = now.Add(refusalLife)
			return
		}
	}
	c.refusals = append(c.refusals, datedRefusal{r, now.Add(refusalLife)})
	c.urgent = true
}

// gather collects what the members say of the unit.
func (c *Core) gather(v *View) {
	peers := c.peers[:0]
	for _, m := range c.table.members {
		h := m.claims[v.Unit.Name]
		if h == nil {
			continue
		}
		for _, r := range m.requests {
			if r.Unit == v.Unit.Name && r.Tenure.Boot == c.table.boot {
				v.Requests = append(v.Requests, PeerRequest{len(peers), r})
			}
		}
		peers = append(peers, Peer{
			Node: m.Name, Boot: m.boot, Leaving: m.leaving, Interval: m.interval,
			Addrs: m.sources, RTT: m.rtt,
			Claim: &h.Claim, At: h.at, Via: m.via, Regained: m.regained,
			MasterSeq: h.masterSeq, MasterSince: h.masterSince, MasterCount: h.masterCount,
			Acks: m.acks, AckedAt: m.at, Knows: m.heardSeq, KnownAt: m.heardAt,
		})
		for _, r := range m.refusals {
			if r.To == c.table.boot {
				v.Answers = append(v.Answers, r)
			}
		}
	}
	v.Peers, c.peers = peers, peers
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

// send makes the next record, and the relays that a heartbeat carries.
func (c *Core) send(now time.Time, raw kclock.Instant, out *Output) {
	c.seq++
	r := &Record{
		Cluster: c.table.cluster, Node: c.node, Boot: c.table.boot, Seq: c.seq,
		Leaving: c.leaving > 0, Interval: c.interval,
		Acks:  c.table.acks(now),
		Addrs: slices.Clone(c.sources), MACs: c.macs, Facts: c.facts,
		Claims: make([]Claim, 0, len(c.order)),
	}
	for _, u := range c.order {
		r.Claims = append(r.Claims, u.claim(now))
		if u.request != nil {
			r.Requests = append(r.Requests, *u.request)
		}
		if u.view.State == Master && (u.claimed != u.view.Tenure.Seq || u.first == 0) {
			u.claimed, u.first = u.view.Tenure.Seq, c.seq
		}
		c.noteAnswers(u)
	}
	for _, f := range c.fencing {
		f.Age = now.Sub(f.at)
		r.Fencing = append(r.Fencing, f.FenceWord)
	}
	for i := range c.parted {
		r.Claims = append(r.Claims, c.parted[i].claim(now))
		c.parted[i].records--
	}
	c.parted = slices.DeleteFunc(c.parted, func(p parted) bool { return p.records == 0 })
	for _, f := range c.refusals {
		r.Refusals = append(r.Refusals, f.Refusal)
	}
	for _, v := range c.invites {
		r.Invites = append(r.Invites, v.Invite)
	}
	for _, m := range c.table.members {
		if m.answered == 0 && c.counts(now, m) {
			m.answered = c.seq
		}
	}
	c.sayLeases(now, raw, r)
	c.table.Sent(c.seq, now)
	c.credit = later(c.credit, now).Add(c.spacing())
	c.sentAt, c.urgent = now, false
	out.Record = r
	for _, m := range c.table.members {
		out.To = append(out.To, m.Name)
		for _, author := range c.table.members {
			if now.Sub(author.at) < 3*c.interval/2 || !c.counts(now, author) ||
				!c.table.lacks(m, author, 5*c.interval/2, now) {
				continue
			}
			for i := range author.latest {
				out.Relays = append(out.Relays, OutRelay{To: m.Name, Datagram: Datagram{
					Via: c.node, Age: now.Sub(author.at), Record: author.latest[i],
				}})
			}
		}
	}
	if c.leaving > 0 {
		if c.leaving--; c.leaving == 0 {
			c.left, out.Left = true, true
		} else {
			c.urgent = true
		}
	}
}
