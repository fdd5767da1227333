package splitbrain

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/rules"
)

// sentSlots is how many of our latest records the table remembers the time of:
// ten seconds at the shortest heartbeat interval.
const sentSlots = 1024

// maxRetired is how many former lives of a member are remembered, so that
// their delayed words are known for what they are.
const maxRetired = 16

// Table is what is known of every other configured member: its latest record,
// direct or relayed, and when it was made by our clock. It is a value of one
// owner: it has no lock, and starts nothing.
type Table struct {
	self    string
	boot    BootID
	cluster uint64
	members []*member // by name
	names   []string  // theirs; a new slice with each change
	sent    [sentSlots]sentRecord

	// listed says which claims of MASTER list an address. Entries that are no
	// longer true are dropped when they are met.
	listed map[netip.Addr][]listing
	moved  bool // an entry was added, or something else that concerns all units has changed

	heard []*heldClaim // those of the datagram last received, in its order

	// suspect is until when records may have waited unread: this process has
	// stood still.
	suspect time.Time
}

// listing is one claim of MASTER, by its member and unit.
type listing struct {
	member *member
	unit   string
}

type sentRecord struct {
	seq uint64
	at  time.Time
}

// member is one other configured member.
type member struct {
	Member
	boot    BootID    // zero: never heard of
	begun   time.Time // when this life was first heard of
	retired []BootID
	doubt   string    // how a channel to it looks broken
	doubted time.Time // and since when; zero: none does

	seq   uint64    // of its latest record
	parts partSet   // the datagrams of that record that have come
	at    time.Time // when that record was made: reception, less the age of a relay
	via   string
	path  string

	directSeq uint64
	directAt  time.Time

	interval time.Duration
	leaving  bool
	acks     []Ack
	inTime   bool // the latest record is punctual

	regained time.Time // when we began to hear it, or again
	answered uint64    // our first record since we began to hear it, or again; 0: none yet

	heardSeq      uint64    // highest of our records that it knows
	heardAt       time.Time // when that was sent
	heardDirectAt time.Time // the same for those that reached it directly
	rtt           time.Duration

	sources   []netip.Addr
	macs      []MAC
	facts     []byte
	epoch     uint64 // of its electorate
	fencing   []FenceWord
	fencingAt time.Time // when they were said
	claims    map[string]*heldClaim
	requests  []Request
	refusals  []Refusal
	invites   []Invite
	latest    []Record // the datagrams of the latest record, for relaying
}

// heldClaim is the latest claim of a member on one unit.
type heldClaim struct {
	Claim
	at       time.Time
	repeated bool // in time, and says what the one before it said

	// Of the latest tenure for which it claimed MASTER:
	masterSeq   uint64
	masterSince time.Time // when it was first heard of
	masterCount int       // records that claimed it
	answered    uint64    // our first record since, that is, which acknowledges it; 0: none yet
}

type partSet [MaxParts / 64]uint64

func (s *partSet) has(n uint16) bool { return s[n/64]&(1<<(n%64)) != 0 }
func (s *partSet) add(n uint16)      { s[n/64] |= 1 << (n % 64) }

// NewTable returns the table of the given node's present life, without
// members.
func NewTable(self string, boot BootID, cluster uint64) *Table {
	return &Table{self: self, boot: boot, cluster: cluster, listed: make(map[netip.Addr][]listing)}
}

// SetMembers gives the configured members. What is known of those that stay is
// kept; the others are forgotten, and their records dropped from now on.
func (t *Table) SetMembers(members []Member) {
	next := make([]*member, 0, len(members))
	for _, m := range members {
		if m.Name == t.self {
			continue
		}
		if old := t.member(m.Name); old != nil {
			old.Member = m
			next = append(next, old)
			continue
		}
		next = append(next, &member{Member: m, claims: make(map[string]*heldClaim)})
	}
	slices.SortFunc(next, func(a, b *member) int { return cmp.Compare(a.Name, b.Name) })
	t.members = slices.CompactFunc(next, func(a, b *member) bool { return a.Name == b.Name })
	t.names = make([]string, 0, len(t.members))
	for _, m := range t.members {
		t.names = append(t.names, m.Name)
	}
}

// Sent notes when a record of ours was made, so that acknowledgements of it
// can be dated.
func (t *Table) Sent(seq uint64, at time.Time) {
	t.sent[seq%sentSlots] = sentRecord{seq, at}
}

// Receive takes a datagram that arrived at the given time. It returns the
// member when the datagram said something new, and whether a new life of it
// has begun; otherwise nil: it is a repetition, out of order, of an earlier
// life, of another cluster or of no member.
func (t *Table) Receive(d *Datagram, path string, at time.Time) (m *member, newLife bool) {
	r := &d.Record
	if r.Cluster != t.cluster || r.Boot == t.boot {
		return nil, false
	}
	m = t.member(r.Node)
	if m == nil {
		return nil, false
	}
	made := at.Add(-d.Age)
	if at.Before(t.suspect) {
		made = t.dated(m, d, made)
	}
	if r.Boot != m.boot {
		if !t.believable(m, d, at) {
			return nil, false
		}
		m.begin(r.Boot, at)
		newLife = true
	}
	direct := d.Via == ""
	if direct && r.Seq >= m.directSeq {
		m.directSeq, m.directAt = r.Seq, at
		t.measure(m, r, at)
	}
	switch {
	case r.Seq < m.seq, r.Seq == m.seq && m.parts.has(r.Part):
		return nil, false
	case r.Seq > m.seq:
		m.inTime = m.punctual(r, made)
		m.seq, m.parts = r.Seq, partSet{}
		m.at, m.via, m.path = made, d.Via, path
		m.interval, m.leaving = min(r.Interval, rules.MaxHeartbeat), r.Leaving
		m.acks = r.Acks
		m.requests, m.refusals, m.invites = nil, nil, nil
		m.latest = m.latest[:0]
		t.acknowledge(m)
	}
	m.parts.add(r.Part)
	m.latest = append(m.latest, *r)
	m.requests = append(m.requests, r.Requests...)
	m.refusals = append(m.refusals, r.Refusals...)
	m.invites = append(m.invites, r.Invites...)
	if r.Part == 0 {
		t.moved = t.moved || !slices.Equal(m.sources, r.Addrs)
		m.sources, m.macs, m.facts, m.epoch = r.Addrs, r.MACs, r.Facts, r.Electorate.Epoch
		t.moved = t.moved || !sameFencing(m.fencing, r.Fencing)
		m.fencing, m.fencingAt = r.Fencing, made
	}
	t.heard = t.heard[:0]
	for i := range r.Claims {
		c := &r.Claims[i]
		h, lists := m.hear(c, made)
		if lists {
			t.list(m, c)
		}
		t.heard = append(t.heard, h)
	}
	return m, newLife
}

// list notes the addresses of a claim of MASTER that was not there before.
func (t *Table) list(m *member, c *Claim) {
	l := listing{m, c.Unit}
	for _, vip := range c.VIPs {
		if !slices.Contains(t.listed[vip], l) {
			t.listed[vip] = append(t.listed[vip], l)
		}
	}
	t.moved = true
}

// elsewhere is the youngest claim of MASTER by which a member holds one of the
// addresses in another unit than the one named, with that member.
func (t *Table) elsewhere(unit string, vips []netip.Addr) (m *member, claim *heldClaim) {
	for _, vip := range vips {
		if len(t.listed[vip]) == 0 {
			continue
		}
		t.listed[vip] = slices.DeleteFunc(t.listed[vip], func(l listing) bool {
			h := l.member.claims[l.unit]
			return !slices.Contains(t.members, l.member) || h == nil || h.State != Master || !slices.Contains(h.VIPs, vip)
		})
		for _, l := range t.listed[vip] {
			if h := l.member.claims[l.unit]; l.unit != unit && (claim == nil || h.at.After(claim.at)) {
				m, claim = l.member, h
			}
		}
		if len(t.listed[vip]) == 0 {
			delete(t.listed, vip)
		}
	}
	return m, claim
}

// believable reports whether the record of an unknown life may end the life
// that is known. Boot ids have no order, so a delayed word of a life that this
// node never met must not displace the present one: while that is fresh, only
// a direct record that acknowledges our own present life is believed, which
// nothing sent before our start can do.
func (t *Table) believable(m *member, d *Datagram, at time.Time) bool {
	if slices.Contains(m.retired, d.Record.Boot) {
		return false
	}
	if m.boot == 0 || m.seq == LastSeq || at.Sub(m.at) > t.lifeWindow(m) {
		return true // it is no life any more, or was its last word
	}
	return d.Via == "" && slices.ContainsFunc(d.Record.Acks, func(a Ack) bool {
		return a.Boot == t.boot && a.Known > 0
	})
}

// lifeWindow is how long a life is defended against unknown ones.
func (t *Table) lifeWindow(m *member) time.Duration {
	return max(3*m.interval, 100*time.Millisecond)
}

// begin forgets all that an earlier life said.
func (m *member) begin(boot BootID, at time.Time) {
	if m.boot != 0 {
		m.retired = append(m.retired, m.boot)
		if len(m.retired) > maxRetired {
			m.retired = slices.Delete(m.retired, 0, 1)
		}
	}
	*m = member{Member: m.Member, boot: boot, begun: at, retired: m.retired, doubted: m.doubted, claims: make(map[string]*heldClaim)}
}

// hear notes a claim, and reports whether it lists addresses in MASTER that
// the one before did not.
func (m *member) hear(c *Claim, made time.Time) (h *heldClaim, lists bool) {
	h = m.claims[c.Unit]
	if h == nil {
		h = &heldClaim{}
		m.claims[c.Unit] = h
	}
	lists = c.State == Master && (h.State != Master || h.VIPHash != c.VIPHash)
	h.repeated = m.inTime && made.Sub(h.at) <= 3*m.interval && c.repeats(&h.Claim)
	h.Claim, h.at = *c, made
	if c.State != Master {
		return h, false
	}
	if c.Tenure.Seq != h.masterSeq {
		h.masterSeq, h.masterSince, h.masterCount, h.answered = c.Tenure.Seq, made, 0, 0
	}
	h.masterCount++
	return h, lists
}

// acknowledge notes what m says of our records.
func (t *Table) acknowledge(m *member) {
	for _, a := range m.acks {
		if a.Boot != t.boot {
			continue
		}
		if s, ok := t.sentAt(a.Known); ok && a.Known >= m.heardSeq {
			m.heardSeq, m.heardAt = a.Known, s
		}
		if s, ok := t.sentAt(a.Direct); ok && s.After(m.heardDirectAt) {
			m.heardDirectAt = s
		}
	}
}

// maxRTT is the longest round trip that is believed. A longer one comes from a
// process that did not read for a while.
const maxRTT = 500 * time.Millisecond

// measure takes the round trip from a record that came directly. It follows a
// rise slowly and a fall quickly.
func (t *Table) measure(m *member, r *Record, at time.Time) {
	for _, a := range r.Acks {
		s, ok := t.sentAt(a.Direct)
		if a.Boot != t.boot || !ok {
			continue
		}
		rtt := max(at.Sub(s)-a.Age, 0)
		switch {
		case rtt > maxRTT:
		case m.rtt == 0 || rtt < m.rtt/2:
			m.rtt = rtt
		default:
			m.rtt += (rtt - m.rtt) / 8
		}
	}
}

// Bounds within which acknowledgements date a record.
const (
	datedBy = 30 * time.Second       // longer ages add the drift of two clocks
	lateBy  = 200 * time.Millisecond // what a record may be late without counting as old
)

// dated corrects when a record was made, after this process stood still: one
// that waited unread is older than it seems, and shows it by how long ago its
// author had received a record of ours.
func (t *Table) dated(m *member, d *Datagram, made time.Time) time.Time {
	for _, a := range d.Record.Acks {
		s, ok := t.sentAt(a.Direct)
		if a.Boot != t.boot || !ok || a.Age > datedBy {
			continue
		}
		if dated := s.Add(a.Age + m.rtt); made.Sub(dated) > lateBy {
			return dated
		}
	}
	return made
}

// sentAt is when our record of that number was made. Those that fell out of
// memory are too old to matter.
func (t *Table) sentAt(seq uint64) (time.Time, bool) {
	s := t.sent[seq%sentSlots]
	return s.at, seq != 0 && s.seq == seq
}

func (t *Table) member(name string) *member {
	for _, m := range t.members {
		if m.Name == name {
			return m
		}
	}
	return nil
}

func (t *Table) memberByBoot(boot BootID) *member {
	for _, m := range t.members {
		if m.boot == boot && boot != 0 {
			return m
		}
	}
	return nil
}

// acks is what our next record says of the others.
func (t *Table) acks(now time.Time) []Ack {
	acks := make([]Ack, 0, len(t.members))
	for _, m := range t.members {
		if m.boot == 0 || now.Sub(m.at) > MaxAge || len(acks) == MaxAcks {
			continue
		}
		a := Ack{Boot: m.boot, Known: m.seq, Direct: m.directSeq}
		if m.directSeq != 0 {
			a.Age = now.Sub(m.directAt)
		}
		acks = append(acks, a)
	}
	return acks
}

// prune forgets claims that were not repeated since, although their authors
// were heard: units that are no more.
func (t *Table) prune(since time.Time) {
	for _, m := range t.members {
		for unit, h := range m.claims {
			if h.at.Before(since) && m.at.After(since) {
				delete(m.claims, unit)
			}
		}
	}
}

// owner is the member that the address belongs to, or nil.
func (t *Table) owner(a netip.Addr) *member {
	for _, m := range t.members {
		if m.has(a) {
			return m
		}
	}
	return nil
}

func (m *member) has(a netip.Addr) bool {
	return slices.Contains(m.sources, a) || slices.Contains(m.Addrs, a) ||
		m.boot == 0 && slices.Contains(m.Before.Addrs, a)
}

// lacks reports whether a member should be given the latest record of another
// one by us: by its own word it does not know it, and has not heard that member
// directly for longer than slack. What it will hear directly in a moment is not
// worth a relay.
func (t *Table) lacks(to, author *member, slack time.Duration, now time.Time) bool {
	if to == author || to.boot == 0 || author.boot == 0 || len(author.latest) == 0 {
		return false
	}
	for _, a := range to.acks {
		if a.Boot != author.boot {
			continue
		}
		if a.Known >= author.seq {
			return false
		}
		return a.Direct == 0 || a.Age+now.Sub(to.at) > slack
	}
	return true // it does not know this life at all
}
