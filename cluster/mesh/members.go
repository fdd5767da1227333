package mesh

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"
)

// State is what gossip thinks of a member.
type State uint8

// States.
const (
	Unknown State = iota // never heard of
	Alive
	// Suspect is alive by the word of others: it has not answered this node's
	// own probes for three rounds.
	Suspect
	Dead
	Left // has said that it goes
)

func (s State) String() string {
	return [...]string{"unknown", "alive", "suspect", "dead", "left"}[s]
}

// MemberState is what gossip knows of one configured member.
type MemberState struct {
	Member
	State State
	Since time.Time     // zero for Unknown
	Meta  []byte        // nobody may change it
	RTT   time.Duration // of the last probe that it answered; 0: none yet
}

// Members returns the configured members other than this node, by name.
func (m *Mesh) Members() []MemberState {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	states := make([]MemberState, 0, len(m.configured))
	for name, member := range m.configured {
		state := MemberState{Member: member}
		if s := m.seen[name]; s != nil {
			state.State, state.Since, state.Meta, state.RTT = s.state, s.since, s.meta, s.rtt
			// memberlist probes one member after the other.
			silence := 3*probeInterval*time.Duration(len(m.configured)) + probeTimeout
			if s.state == Alive && now.Sub(s.answered) > silence {
				state.State, state.Since = Suspect, s.answered
			}
		}
		states = append(states, state)
	}
	slices.SortFunc(states, func(a, b MemberState) int { return strings.Compare(a.Name, b.Name) })
	return states
}

// Changed returns a channel that is closed when the list of members, the
// state of one or its meta changes next. A member that becomes Suspect is not
// told: that is a matter of time alone.
func (m *Mesh) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// announceChange needs mu.
func (m *Mesh) announceChange() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// absent lists the members to be joined, and books them as being joined.
func (m *Mesh) absent() []Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leaving {
		return nil
	}
	var absent []Member
	for name, member := range m.configured {
		if s := m.seen[name]; (s == nil || s.state != Alive) && !m.joining[name] {
			m.joining[name] = true
			absent = append(absent, member)
		}
	}
	return absent
}

// seen is what gossip has told of a node, a member or not.
type seen struct {
	state    State // Alive, Dead or Left
	since    time.Time
	meta     []byte
	rtt      time.Duration
	answered time.Time // last own probe answered, or since
	goodbye  time.Time // when it said that it goes
}

// goodbyeWait is how far apart a goodbye and the end that it explains may be.
const goodbyeWait = 10 * time.Second

// wordGoodbye, followed by a name, is the only user message of gossip.
const wordGoodbye = 'L'

// delegate is how memberlist calls Mesh back. Most calls come with memberlist's
// lock held, so none of them may call memberlist.
type delegate Mesh

// known needs mu.
func (d *delegate) known(name string) *seen {
	s := d.seen[name]
	if s == nil {
		s = &seen{}
		d.seen[name] = s
	}
	return s
}

// NotifyJoin implements memberlist.EventDelegate.
func (d *delegate) NotifyJoin(n *memberlist.Node) {
	if n.Name == d.o.Name {
		return
	}
	now := time.Now()
	d.mu.Lock()
	s := d.known(n.Name)
	s.state, s.since, s.answered, s.goodbye = Alive, now, now, time.Time{}
	s.meta = slices.Clone(n.Meta)
	(*Mesh)(d).announceChange()
	d.mu.Unlock()
	d.log.Info("member is alive", "node", n.Name, "addr", n.Address())
}

// NotifyLeave implements memberlist.EventDelegate.
func (d *delegate) NotifyLeave(n *memberlist.Node) {
	if n.Name == d.o.Name {
		return
	}
	now := time.Now()
	d.mu.Lock()
	s := d.known(n.Name)
	s.state, s.since = Dead, now
	if !s.goodbye.IsZero() && now.Sub(s.goodbye) < goodbyeWait {
		s.state = Left
	}
	state := s.state
	(*Mesh)(d).announceChange()
	d.mu.Unlock()
	if state == Left {
		d.log.Info("member has left", "node", n.Name)
	} else {
		d.log.Warn("member is dead", "node", n.Name, "addr", n.Address())
	}
}

// NotifyUpdate implements memberlist.EventDelegate.
func (d *delegate) NotifyUpdate(n *memberlist.Node) {
	if n.Name == d.o.Name {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known(n.Name).meta = slices.Clone(n.Meta)
	(*Mesh)(d).announceChange()
}

// NotifyMsg implements memberlist.Delegate.
func (d *delegate) NotifyMsg(b []byte) {
	if len(b) < 2 || b[0] != wordGoodbye {
		return
	}
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.seen[string(b[1:])]
	if s == nil {
		return
	}
	s.goodbye = now
	if s.state == Dead && now.Sub(s.since) < goodbyeWait { // the goodbye came second
		s.state = Left
		(*Mesh)(d).announceChange()
	}
}

// NotifyAlive implements memberlist.AliveDelegate: nobody comes in who is not
// configured.
func (d *delegate) NotifyAlive(n *memberlist.Node) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, member := d.configured[n.Name]; member || n.Name == d.o.Name {
		return nil
	}
	return ErrUnknownMember
}

// NotifyConflict implements memberlist.ConflictDelegate.
func (d *delegate) NotifyConflict(known, other *memberlist.Node) {
	d.log.Error("two nodes use one name", "node", known.Name, "addr", known.Address(), "other", other.Address())
	if d.o.Conflict != nil {
		d.o.Conflict(known.Name, addrPort(known), addrPort(other))
	}
}

func addrPort(n *memberlist.Node) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(n.Addr)
	return netip.AddrPortFrom(addr.Unmap(), n.Port)
}

// NotifyPingComplete implements memberlist.PingDelegate.
func (d *delegate) NotifyPingComplete(n *memberlist.Node, rtt time.Duration, _ []byte) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.known(n.Name)
	s.rtt, s.answered = rtt, now
}

// AckPayload implements memberlist.PingDelegate.
func (d *delegate) AckPayload() []byte { return nil }

// NodeMeta implements memberlist.Delegate.
func (d *delegate) NodeMeta(int) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.meta
}

// GetBroadcasts, LocalState and MergeRemoteState implement memberlist.Delegate:
// gossip carries nothing but membership.

func (d *delegate) GetBroadcasts(int, int) [][]byte { return nil }
func (d *delegate) LocalState(bool) []byte          { return nil }
func (d *delegate) MergeRemoteState([]byte, bool)   {}
