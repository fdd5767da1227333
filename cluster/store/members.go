package store

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// MaxVoters is the largest number of voters, witnesses included.
const MaxVoters = 7

// Refusals of the members machine.
const (
	CodeDuplicateNode Code = "duplicate-node"
	CodeTooManyVoters Code = "too-many-voters"
	CodeNoSuchNode    Code = "no-such-node"
	CodeLastMember    Code = "last-member"
)

// Role is what a member does in the cluster. The words are the operator's.
type Role string

// The roles.
const (
	RoleVoter    Role = "voter"     // votes and holds VIPs
	RoleNonVoter Role = "non-voter" // holds VIPs, has no vote
	RoleWitness  Role = "witness"   // votes, holds no VIP
)

// Votes says whether a member of this role is to have a vote.
func (r Role) Votes() bool { return r == RoleVoter || r == RoleWitness }

// Member is one node of the cluster.
type Member struct {
	ID             string           // of this life of the node, as Raft knows it: NAME#RANDOM
	Name           string           // unique in the cluster
	Addr           netip.AddrPort   // of the TLS port
	GossipAddr     netip.AddrPort   // UDP
	HeartbeatAddrs []netip.AddrPort // UDP, one for each network
	Role           Role
	KeyID          []byte    // SHA-256 of the public key in its certificate
	Version        string    // of haclusterd when it was last reported
	Added          time.Time // when it was admitted
	Token          string    // id of the token that admitted it
	Joined         bool      // it has caught up, and votes when its role says so
}

// Members is the machine that holds the members.
type Members struct {
	mu      sync.RWMutex
	members []Member // by name
	changed chan struct{}
}

func newMembers() *Members { return &Members{changed: make(chan struct{})} }

// Name implements Machine.
func (m *Members) Name() string { return "members" }

// Commands implements Machine.
func (m *Members) Commands() map[string]uint8 {
	return map[string]uint8{"add": 1, "update": 1, "remove": 1}
}

// removeV1 is the body of members.remove version 1.
type removeV1 struct {
	ID   string
	Last bool // the last member may go
}

// Apply implements Machine. The bodies of add and update version 1 are a Member.
func (m *Members) Apply(cmd Command) ([]byte, error) {
	var list []Member
	var err error
	switch cmd.Name {
	case "add":
		var body Member
		if err := decodeBody(cmd, &body); err != nil {
			return nil, err
		}
		list, err = addMember(m.List(), body)
	case "update":
		var body Member
		if err := decodeBody(cmd, &body); err != nil {
			return nil, err
		}
		list, err = updateMember(m.List(), body)
	case "remove":
		var body removeV1
		if err := decodeBody(cmd, &body); err != nil {
			return nil, err
		}
		list, err = removeMember(m.List(), body)
	default:
		panic("store: members: unlisted command " + cmd.Name)
	}
	if err != nil {
		return nil, err
	}
	m.set(list)
	return nil, nil
}

// addMember refuses the name of a member that is in the cluster. A member that
// was admitted and never finished joining gives its name to the next one.
func addMember(list []Member, add Member) ([]Member, error) {
	list = slices.DeleteFunc(list, func(m Member) bool { return m.Name == add.Name && !m.Joined })
	voters := 0
	for _, m := range list {
		if m.Name == add.Name {
			return nil, refuse(CodeDuplicateNode, nil,
				"node %s is already a member (since %s, at %s): choose another --name, or run `haclusterctl leave` there first",
				m.Name, m.Added.UTC().Format(time.RFC3339), m.Addr)
		}
		if m.Addr == add.Addr {
			return nil, refuse(CodeDuplicateNode, nil,
				"address %s already belongs to member %s: choose another --advertise", m.Addr, m.Name)
		}
		if m.Role.Votes() {
			voters++
		}
	}
	if add.Role.Votes() && voters >= MaxVoters {
		return nil, refuse(CodeTooManyVoters, nil,
			"the cluster has %d voters, and more than %d make it slower and no safer: join as non-voter", voters, MaxVoters)
	}
	list = append(list, add)
	slices.SortFunc(list, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func updateMember(list []Member, change Member) ([]Member, error) {
	i := slices.IndexFunc(list, func(m Member) bool { return m.ID == change.ID })
	if i < 0 || list[i].Name != change.Name {
		return nil, refuse(CodeNoSuchNode, nil, "there is no member %s (%s)", change.Name, change.ID)
	}
	list[i] = change
	return list, nil
}

func removeMember(list []Member, remove removeV1) ([]Member, error) {
	i := slices.IndexFunc(list, func(m Member) bool { return m.ID == remove.ID })
	switch {
	case i < 0:
		return list, nil // removing what is gone succeeds
	case len(list) == 1 && !remove.Last:
		return nil, refuse(CodeLastMember, nil, "%s is the last member: the cluster and its history end with it", list[i].Name)
	}
	return slices.Delete(list, i, i+1), nil
}

// Snapshot implements Machine.
func (m *Members) Snapshot() ([]byte, error) { return json.Marshal(m.List()) }

// Restore implements Machine.
func (m *Members) Restore(data []byte) error {
	var list []Member
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	m.set(list)
	return nil
}

func (m *Members) set(list []Member) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.members = list
	close(m.changed)
	m.changed = make(chan struct{})
}

// List returns the members by name.
func (m *Members) List() []Member {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.Clone(m.members)
}

// ByName returns the member of that name.
func (m *Members) ByName(name string) (Member, bool) {
	return m.find(func(o Member) bool { return o.Name == name })
}

// ByID returns the member of that id.
func (m *Members) ByID(id string) (Member, bool) {
	return m.find(func(o Member) bool { return o.ID == id })
}

func (m *Members) find(match func(Member) bool) (Member, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if i := slices.IndexFunc(m.members, match); i >= 0 {
		return m.members[i], true
	}
	return Member{}, false
}

// Changed returns a channel that is closed at the next change.
func (m *Members) Changed() <-chan struct{} {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.changed
}
