package incident

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// Waits of the tracker.
const (
	// overlapSlack is by how much the claims of two holders must overlap: by less
	// they may have crossed on the way.
	overlapSlack = 50 * time.Millisecond
	// settle is how long a change of holder is looked at before it counts as a
	// fail-over: a goodbye may follow the release.
	settle = time.Second
	// darkAfter is how long nobody may hold a unit before that is an incident
	// by itself.
	darkAfter = 5 * time.Second
	// safeFor is how long all must be well before an incident is closed.
	safeFor = 5 * time.Second
	// quorumAfter is how long no majority may answer: an election is shorter.
	quorumAfter = 3 * time.Second
	// before is how far back a new incident looks.
	before = 10 * time.Second
	// maxClosed bounds the parts that nobody has taken yet.
	maxClosed = 50
)

// Input is what a node knows at one moment.
type Input struct {
	Now     time.Time
	Units   []vrrp.UnitStatus // this node's own
	Peers   splitbrain.PeerView
	Cluster observed.Cluster
	Clocks  map[string]time.Duration // how far the members' clocks are ahead
	// Events are this node's events since the last Step, in order.
	Events []observed.Event
}

// Tracker finds incidents in what a node knows. It has no clock and no lock.
type Tracker struct {
	node string
	boot uint64

	units  map[string]*unit
	recent []observed.Event // of the last moments
	open   []*part
	closed []*part
	made   int                    // parts
	lacks  time.Time              // since when no majority answers; zero: one does
	stands map[standing]time.Time // alerts that make incidents, with their beginnings
}

// part is a Part in the making.
type part struct {
	Part
	changed uint64        // counts changes
	given   uint64        // changes that were given to the machine
	calm    time.Time     // since when all is well; zero: it is not
	shown   time.Duration // Double or Dark when it was last given

	// silent are the units whose new holder no probe has seen to answer yet, with
	// the last sign of the old one.
	silent map[string]time.Time
}

// unit is what is known of one unit's holders.
type unit struct {
	holder  hold      // the latest one; zero: none was seen
	sign    time.Time // of its holding, by any channel
	pending []*change // being looked at, the oldest first; a loss stands alone
	yielded hold      // the latest tenure that is known to have yielded

	// lately is what each node held last, as far as it was seen.
	lately map[string]hold
}

// hold is one node's claim of a tenure.
type hold struct {
	node     string
	boot     uint64
	seq      uint64
	priority uint8
	since    time.Time
	at       time.Time // when it was last claimed
	via      string
}

func (h *hold) same(o *hold) bool { return h.node == o.node && h.boot == o.boot && h.seq == o.seq }

// change is a change of holder, or the loss of one.
type change struct {
	old  hold
	sign time.Time // the last sign of the old one
	new  hold      // zero: nobody
	seen time.Time
}

// NewTracker returns a tracker for the node in the given life of its process.
func NewTracker(node string, boot uint64) *Tracker {
	return &Tracker{node: node, boot: boot, units: make(map[string]*unit), stands: make(map[standing]time.Time)}
}

// Step takes what the node knows now.
func (t *Tracker) Step(in *Input) {
	t.remember(in)
	own := make(map[string]*vrrp.UnitStatus, len(in.Units))
	for i := range in.Units {
		own[in.Units[i].Name] = &in.Units[i]
	}
	claims := byUnit(in)
	for name := range t.units {
		if own[name] == nil && len(claims[name]) == 0 {
			delete(t.units, name) // it is no more
		}
	}
	doubled := make(map[string]bool)
	for _, name := range names(own, claims) {
		masters := t.masters(in, own[name], claims[name])
		doubled[name] = t.watchDouble(in, name, masters)
		t.watchHolder(in, name, own[name], claims[name], masters)
		t.watchYields(in, name, claims[name])
	}
	t.watchOwnYields(in)
	t.watchAlerts(in)
	t.watchQuorum(in)
	t.close(in, doubled)
}

// claim is what a member says of one unit.
type claim struct {
	member *splitbrain.MemberView
	*splitbrain.ClaimView
}

func byUnit(in *Input) map[string][]claim {
	out := make(map[string][]claim)
	for i := range in.Peers.Members {
		m := &in.Peers.Members[i]
		for k := range m.Claims {
			c := &m.Claims[k]
			out[c.Unit] = append(out[c.Unit], claim{m, c})
		}
	}
	return out
}

func names(own map[string]*vrrp.UnitStatus, claims map[string][]claim) []string {
	all := maps.Clone(own)
	for name := range claims {
		if _, ok := all[name]; !ok {
			all[name] = nil
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// masters are the nodes that claim the unit, by claims that count.
func (t *Tracker) masters(in *Input, own *vrrp.UnitStatus, claims []claim) []hold {
	var out []hold
	if own != nil && own.State == vrrp.Master {
		out = append(out, hold{t.node, t.boot, own.Tenure.Seq, uint8(own.Tenure.Priority), own.Since, in.Now, ""})
	}
	for _, c := range claims {
		if c.State == splitbrain.Master && c.Fresh {
			out = append(out, hold{c.member.Name, uint64(c.member.Boot), c.Tenure.Seq, c.Tenure.Priority, c.At.Add(-c.StateAge), c.At, c.member.Via})
		}
	}
	return out
}

// watchHolder notes changes of the holder that nobody planned.
func (t *Tracker) watchHolder(in *Input, name string, own *vrrp.UnitStatus, claims []claim, masters []hold) {
	u := t.units[name]
	if u == nil {
		u = &unit{lately: make(map[string]hold)}
		t.units[name] = u
	}
	for _, h := range masters {
		u.lately[h.node] = h
	}
	var now *hold
	for i := range masters {
		if now == nil || masters[i].since.After(now.since) {
			now = &masters[i]
		}
	}
	lost := u.loss()
	switch {
	case now != nil && u.holder.node == "":
		u.holder, u.sign = *now, now.at // the first one that is seen
	case now != nil && now.same(&u.holder):
		u.holder.at, u.sign = now.at, latest(u.sign, now.at)
		if lost != nil {
			u.pending = nil // it was only not heard
		}
	case now != nil:
		old, sign := u.holder, t.lastSign(in, name, u)
		if lost != nil {
			old, sign, u.pending = lost.old, lost.sign, nil
		}
		u.holder, u.sign = *now, now.at
		// Who is left of two that held together has held for longer.
		if old.node != now.node && !now.since.Before(old.since) {
			u.pending = append(u.pending, &change{old: old, sign: sign, new: *now, seen: in.Now})
		}
	case u.holder.node != "" && len(u.pending) == 0 && own != nil:
		// Nobody claims it. A silent holder may still advertise.
		if sign := t.lastSign(in, name, u); in.Now.Sub(sign) > darkAfter && own.State != vrrp.Init {
			u.pending = append(u.pending, &change{old: u.holder, sign: sign, seen: in.Now.Add(-settle)})
		}
	}
	u.pending = slices.DeleteFunc(u.pending, func(c *change) bool {
		if in.Now.Sub(c.seen) < settle {
			return false
		}
		if !t.planned(in, name, c, claims) {
			t.lost(in, name, c)
		}
		return c.new.node != ""
	})
}

// loss is the change to nobody that stands; nil: none does.
func (u *unit) loss() *change {
	if len(u.pending) == 1 && u.pending[0].new.node == "" {
		return u.pending[0]
	}
	return nil
}

// lastSign is when the holder last showed that it held: by its claims, by its
// adverts, or by its own word of when it let go.
func (t *Tracker) lastSign(in *Input, name string, u *unit) time.Time {
	sign := u.sign
	for _, r := range in.Peers.Reach {
		if r.Channel == splitbrain.ChannelVRRP && r.Unit == name && r.From == u.holder.node && r.To == t.node {
			sign = latest(sign, r.At)
		}
	}
	for i := range in.Peers.Members {
		m := &in.Peers.Members[i]
		for k := range m.Claims {
			if c := &m.Claims[k]; m.Name == u.holder.node && c.Unit == name && c.Released && uint64(m.Boot) == u.holder.boot && c.Tenure.Seq == u.holder.seq {
				return c.At.Add(-c.StateAge)
			}
		}
	}
	return sign
}

// planned reports whether the change is no fail-over: the old holder let go on
// purpose (it handed the unit over, said goodbye, was preempted in the ordinary way,
// or has left the cluster), or goes on holding, which is a split brain.
func (t *Tracker) planned(in *Input, name string, c *change, claims []claim) bool {
	switch {
	case c.new.node == "":
		return false // whatever the plan was, nobody holds it
	case c.old.node == t.node:
		return t.letGoOnPurpose(name, c)
	case !slices.ContainsFunc(in.Peers.Members, func(m splitbrain.MemberView) bool { return m.Name == c.old.node }):
		return true
	}
	for _, cl := range claims {
		if cl.member.Name != c.old.node || uint64(cl.member.Boot) != c.old.boot {
			continue
		}
		alive := cl.member.At.After(c.seen)
		switch {
		case cl.member.Leaving, cl.Reserved.For != 0:
			return true
		case cl.State == splitbrain.Master && cl.At.Sub(c.new.since) > overlapSlack:
			return true
		case cl.State == splitbrain.Init && alive:
			return true // the unit is no more there, by configuration
		case cl.State == splitbrain.Backup && alive && c.new.priority > c.old.priority:
			return true
		}
	}
	return false
}

// letGoOnPurpose reports the same of this node, by what it did itself.
func (t *Tracker) letGoOnPurpose(name string, c *change) bool {
	for _, e := range slices.Backward(t.recent) {
		if e.Kind == observed.StateChanged && e.Unit == name && e.From == vrrp.Master.String() {
			toBackup := e.To == vrrp.Backup.String() && (c.new.priority > c.old.priority || strings.HasPrefix(e.Reason, "yields to "))
			return toBackup || e.To == vrrp.Init.String()
		}
	}
	return false
}

// lost opens a fail-over, or adds to the one that is open.
func (t *Tracker) lost(in *Input, name string, c *change) {
	p := t.find(in, Failover, []string{c.old.node}, c.sign)
	if p.about(name, &c.old) {
		p.line(Line{At: c.sign, Channel: c.old.channel(t.node), Units: []string{name}, Text: "last sign of " + c.old.node + " as holder"})
	}
	dark := in.Now.Sub(c.sign)
	if c.new.node != "" {
		dark = c.new.since.Sub(c.sign)
		if p.Taken == nil {
			p.Taken = make(map[string]int)
		}
		p.Taken[c.new.node]++
		p.line(Line{At: c.new.since, Channel: c.new.channel(t.node), Units: []string{name}, Text: c.new.node + " holds" + c.new.how()})
		p.await(name, c.sign)
		for _, e := range t.recent {
			p.answer(e)
		}
	}
	if dark > 2*p.shown || c.new.node != "" {
		p.shown = dark
		p.touch()
	}
	p.Dark = max(p.Dark, dark)
}

func (t *Tracker) watchQuorum(in *Input) {
	since, channel, what := lostQuorum(in, t.lacks)
	t.lacks = since
	if !since.IsZero() && in.Now.Sub(since) >= quorumAfter {
		p := t.find(in, QuorumLost, nil, since)
		p.line(Line{At: since, Channel: channel, Text: what})
	}
}

// close closes what has been over for long enough.
func (t *Tracker) close(in *Input, doubled map[string]bool) {
	t.open = slices.DeleteFunc(t.open, func(p *part) bool {
		if t.troubled(p, doubled) {
			p.calm = time.Time{}
			return false
		}
		if p.calm.IsZero() {
			p.calm = in.Now
		}
		if in.Now.Sub(p.calm) < safeFor {
			return false
		}
		p.Closed = p.calm
		p.Clocks = in.Clocks
		p.touch()
		t.closed = append(t.closed, p)
		return true
	})
	if over := len(t.closed) - maxClosed; over > 0 {
		t.closed = slices.Delete(t.closed, 0, over)
	}
}

func (t *Tracker) troubled(p *part, doubled map[string]bool) bool {
	if p.Kind == QuorumLost {
		return !t.lacks.IsZero()
	}
	if t.stand(p) {
		return true
	}
	return slices.ContainsFunc(p.Units, func(name string) bool {
		u := t.units[name]
		return u != nil && (doubled[name] || len(u.pending) > 0)
	})
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
