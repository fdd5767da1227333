package splitbrain

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// View is all that bears on one unit of this node at one moment.
type View struct {
	Now       time.Time
	Node      string
	Boot      BootID
	Heartbeat time.Duration // this node's present interval
	Unit      *UnitView
	Peers     []Peer // every member that has ever claimed anything of the unit, by name

	// Elsewhere is set when a member claims to hold one of the unit's addresses
	// in another unit.
	Elsewhere *Elsewhere

	// First is the number of our first record that claimed the unit's present
	// tenure; 0: none was sent yet.
	First    uint64
	Requests []PeerRequest // to hand the unit over, of all members
	Answers  []Refusal     // to requests of this node

	Evidence   Evidence      // what our probes show
	Contact    Contact       // whom we hear at all
	Started    time.Time     // when this life began
	AloneAfter time.Duration // from then, how long a lone node waits for an answer

	// Disarmed says that a person has frozen quick take-over and fencing.
	Disarmed bool
	Memory   Memory
	Lease    LeaseView // for policy quorum
}

// Peer is what is known of one member's part in a unit.
type Peer struct {
	Node     string
	Boot     BootID
	Leaving  bool
	Interval time.Duration // its heartbeat interval
	Addrs    []netip.Addr
	RTT      time.Duration
	Claim    *Claim
	At       time.Time // when it said so
	Via      string    // who relayed that
	Regained time.Time // since when it is heard without a break

	// The latest tenure of its present life for which it claimed MASTER.
	MasterSeq   uint64
	MasterSince time.Time // when that was first heard of
	MasterCount int       // records that said so

	Acks    []Ack     // what its latest record says of others
	AckedAt time.Time // when that was made
	Knows   uint64    // our highest record that it acknowledges
	KnownAt time.Time // when we sent that
}

// Elsewhere is a claim of MASTER on another unit that lists one of this unit's
// addresses.
type Elsewhere struct {
	Node, Unit string
	At         time.Time
	Interval   time.Duration
}

// PeerRequest is a request with its sender.
type PeerRequest struct {
	Peer int // index in View.Peers
	Request
}

// Memory is what Decide remembers of a unit from one time to the next. Its
// zero value is that of a unit just started.
type Memory struct {
	hold      Hold         // as last delivered
	held      heldBy       // and for whom
	members   []netip.Addr // as last delivered
	delivered bool         // members were delivered at all

	holder      TenureID   // the latest tenure that is known to have been in MASTER
	masterSince time.Time  // when its latest stay in MASTER began; zero: judged already
	letGo       time.Time  // when that tenure was first known to have been released
	acted       TenureID   // the tenure whose end made this node a candidate already
	yielding    uint64     // own tenure that was told to end
	toldAt      time.Time  // when it was
	yielded     TenureID   // the tenure that won against it
	won         []TenureID // those that ended against ours, one of each member
	release     promise    // whom that tenure was handed to
	released    time.Time  // when its addresses were first known to be gone
	ask         asking
	wish        time.Time // until then a person or a drain wants it here
	failed      string    // the node to which handing over failed
	failedAt    time.Time // and when that was noticed

	// Policy quorum.
	bid      bid
	lease    Lease     // as last delivered
	unleased time.Time // since when the unit is MASTER and never had a lease for it; zero: it had

	actedAt     time.Time // when acted was set by a proof
	cutOff      time.Time // when this node was last found to be cut off
	waiting     bool      // the hold waits for a sign of life
	lossSeen    time.Time // when the holder's word that its path is lost was first heard
	relief      time.Time // when this node may ask for the unit for that reason
	silence     Silence   // what does not answer of the present holder
	silentSince time.Time // since when probes of it count
	unreached   uint64    // own tenure during which the neighbours were silent
	rivalled    time.Time // when another's announcement was first judged; zero: it was answered
	defended    time.Time // when one was last answered
	deadSince   time.Time // when that was first proved
	overruled   TenureID  // the tenure that this node overrules because its path is dead
	accused     accusation
	shunned     shunning
}

// accusation is a request that says that our path is dead.
type accusation struct{ first, last time.Time }

// shunning keeps a node from preempting whose addresses did not answer when it
// held the unit.
type shunning struct {
	boot  BootID
	until time.Time
	span  time.Duration
}

// promise is a hand-over that this node agreed to.
type promise struct {
	request uint64
	to      BootID
	node    string
	span    time.Duration
	failed  bool
}

// Decision is what Decide says about one unit.
type Decision struct {
	Verdicts []Verdict
	Alerts   []Alert // the conditions that stand now
	Refusals []Refusal
	Request  *Request // open: to be repeated in each record
	Refused  string   // why this node's request came to nothing just now
	Memory   Memory
	// Wake is when to decide again, if nothing happens before; zero: never.
	Wake time.Time
	// Overdue is one of the reasons for Wake, and Rest the earliest of the others;
	// zero: there is none.
	Overdue Overdue
	Rest    time.Time
	// Look asks for probes of the unit's networks now, and Burst for quick ones
	// of the unit's addresses and of those of the named member.
	Look  bool
	Burst string
	// Urgent says that the others should hear of it at once.
	Urgent bool
	// Calm says that claims which repeat themselves are no reason to decide again.
	Calm bool
	// Asks says that the voters are to be asked for the lease, or to prolong it.
	Asks bool
}

// Overdue asks for another decision when the member's claim is as old as After. A
// calm unit need not be decided when it has been repeated since.
type Overdue struct {
	Node  string
	At    time.Time // when it claimed
	After time.Duration
}

// Decide applies the rules to one unit. It is pure.
func Decide(v *View) Decision {
	d := decider{View: v, Memory: v.Memory}
	d.fresh = v.Unit.fresh(v.Heartbeat)
	switch {
	case v.Unit.Policy == PolicyOff:
		d.off()
	case v.Unit.Policy == PolicyQuorum:
		d.quorum()
	default:
		d.Memory.bid, d.Memory.lease, d.Memory.unleased = bid{}, Lease{}, time.Time{}
		d.mesh()
	}
	d.Calm = d.calm()
	if d.Rest = d.Wake; d.Overdue.Node != "" {
		d.wake(d.Overdue.At.Add(d.Overdue.After))
	}
	d.Decision.Memory = d.Memory
	return d.Decision
}

type decider struct {
	*View
	Decision
	Memory Memory // in the making; it stands before those of View and Decision
	fresh  time.Duration
	unheld bool // a hold ended that no other verdict has replaced yet
}

// mesh applies policy mesh.
func (d *decider) mesh() {
	d.tellMembers()
	switch d.Unit.State {
	case Master:
		d.master()
		d.pathLoss()
	case Backup:
		d.backup()
	case Init, Fault:
		d.Memory.hold = Hold{}
		d.Memory.ask = asking{backoff: d.Memory.ask.backoff, notBefore: d.Memory.ask.notBefore}
	}
	d.noteRelease()
}

// off takes back what policy mesh may have said before.
func (d *decider) off() {
	if !d.Memory.hold.Until.IsZero() {
		d.say(Hold{})
	}
	if d.Memory.delivered {
		d.say(Members{})
	}
	d.Memory = Memory{}
}

func (d *decider) say(v Verdict) { d.Verdicts = append(d.Verdicts, v) }

// wake asks for another decision at t.
func (d *decider) wake(t time.Time) {
	if t.After(d.Now) && (d.Wake.IsZero() || t.Before(d.Wake)) {
		d.Wake = t
	}
}

// isFresh reports whether the peer's claim counts (R0).
func (d *decider) isFresh(p *Peer) bool {
	return d.Now.Sub(p.At) <= max(d.fresh, 3*p.Interval)
}

func (d *decider) freshUntil(p *Peer) time.Time {
	return p.At.Add(max(d.fresh, 3*p.Interval))
}

// twoWay reports whether the peer and this node hear each other, directly or
// through others.
func (d *decider) twoWay(p *Peer) bool {
	return d.isFresh(p) && !p.KnownAt.IsZero() && d.Now.Sub(p.KnownAt) <= max(d.fresh, 3*p.Interval)
}

// holds reports whether the peer counts as a holder.
func (d *decider) holds(p *Peer) bool {
	return p.Claim.State == Master && d.isFresh(p)
}

// candidate reports whether the peer could take the unit over.
func (d *decider) candidate(p *Peer) bool {
	return d.isFresh(p) && !p.Leaving && p.Claim.Eligible && p.Claim.State == Backup
}

// tellMembers delivers the addresses of members in two-way contact when they
// have changed.
func (d *decider) tellMembers() {
	same, n := d.Memory.delivered, 0
	for i := range d.Peers {
		p := &d.Peers[i]
		if !d.isMember(p) {
			continue
		}
		d.wake(d.freshUntil(p).Add(1))
		d.wake(p.KnownAt.Add(max(d.fresh, 3*p.Interval) + 1))
		end := n + len(p.Addrs)
		same = same && end <= len(d.Memory.members) && slices.Equal(p.Addrs, d.Memory.members[n:end])
		n = end
	}
	if same && n == len(d.Memory.members) {
		return
	}
	addrs := make([]netip.Addr, 0, n)
	for i := range d.Peers {
		if p := &d.Peers[i]; d.isMember(p) {
			addrs = append(addrs, p.Addrs...)
		}
	}
	d.Memory.delivered, d.Memory.members = true, addrs
	d.say(Members{Addrs: addrs})
}

// isMember reports whether the peer's adverts are to be settled by rules other
// than VRRP's. In policy quorum they always are: they prove no lease.
func (d *decider) isMember(p *Peer) bool {
	return d.allied(p) && (d.Unit.Policy == PolicyQuorum || d.twoWay(p))
}

// allied reports whether the peer follows the same rules for the unit.
func (d *decider) allied(p *Peer) bool { return p.Claim.Policy == d.Unit.Policy }

// step is the time between two ranks of R9: the better one's record must have
// come before the next one acts.
func (d *decider) step() time.Duration { return max(2*d.rtt(), 20*time.Millisecond) }

// rtt is the longest round trip among the members that count.
func (d *decider) rtt() time.Duration {
	var rtt time.Duration
	for i := range d.Peers {
		if d.isFresh(&d.Peers[i]) {
			rtt = max(rtt, d.Peers[i].RTT)
		}
	}
	return rtt
}

// rank is this node's wait in the order of succession (R9): by priority and
// address among those that could serve, the former holder last.
func (d *decider) rank(former TenureID) time.Duration {
	better := 0
	for i := range d.Peers {
		p := &d.Peers[i]
		switch {
		case !d.candidate(p), p.Boot == former.Boot:
		case former.Boot == d.Boot, d.before(p):
			better++
		}
	}
	return time.Duration(better) * d.step()
}

// before reports whether the peer comes before this node in the order of
// succession.
func (d *decider) before(p *Peer) bool {
	if mine, theirs := d.Evidence.Path.lastRank(), p.Claim.Path.lastRank(); mine != theirs {
		return mine
	}
	return outranks(p.Claim.Priority, p.Claim.Primary, d.Unit.Priority, d.Unit.Primary)
}

// ago says how old a moment is, for people.
func (d *decider) ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return fmt.Sprintf("%v ago", max(d.Now.Sub(t), 0).Round(time.Millisecond))
}

// heard says how a peer's claim came, for people.
func (d *decider) heard(p *Peer) string {
	how := "its record"
	if p.Via != "" {
		how = "its record, relayed by " + p.Via + ","
	}
	return fmt.Sprintf("%s %s", how, d.ago(p.At))
}
