package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/hacluster/hacluster/cluster/mesh"
	"github.com/hacluster/hacluster/cluster/pki"
	"github.com/hacluster/hacluster/cluster/store"
)

// meshRetry is how long to wait after the mesh could not be started.
const meshRetry = 2 * time.Second

// meshFacts is what the mesh needs of the replicated state. The node keeps a copy
// on its disk: after a start, Raft's state is empty until a majority is there, and
// the heartbeats must not wait for that.
type meshFacts struct {
	Members []store.Member
	Keys    [][]byte // of the gossip, the one in use first
	Applied uint64   // index of a command at which, or before which, they were so
}

func (f meshFacts) complete() bool { return len(f.Members) > 0 && len(f.Keys) > 0 }

// meshFacts returns what the state says or, while it says nothing, the copy.
func (s *session) meshFacts() meshFacts {
	f := meshFacts{Members: s.store.Members().List()}
	data, _ := s.store.Secrets().Get(secretGossipKeys)
	if len(data) > 0 {
		if err := json.Unmarshal(data, &f.Keys); err != nil {
			s.log.Error("gossip keys cannot be read", "err", err)
		}
	}
	if !f.complete() {
		return s.remembered
	}
	f.Applied = s.store.Applied() // after the rest: too high is harmless, too low is not
	return f
}

// members returns the members by name, from the copy while the state is empty.
func (s *session) members() []store.Member { return slices.Clone(s.meshFacts().Members) }

// member looks one of them up by its ID.
func (s *session) member(id string) (store.Member, bool) {
	members := s.meshFacts().Members
	i := slices.IndexFunc(members, func(m store.Member) bool { return m.ID == id })
	if i < 0 {
		return store.Member{}, false
	}
	return members[i], true
}

// remember keeps the copy, unless it is what was kept before.
func (s *session) remember(f meshFacts, before []byte) (kept []byte, err error) {
	data, err := json.Marshal(f)
	if err != nil || bytes.Equal(data, before) {
		return before, err
	}
	return data, pki.WriteFile(s.dir.mesh(), data)
}

// recall reads the copy; without one, or with one that cannot be read, the mesh
// waits for the state.
func (d *dataDir) recall() (meshFacts, error) {
	data, err := os.ReadFile(d.mesh())
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return meshFacts{}, err
	}
	var f meshFacts
	if err := json.Unmarshal(data, &f); err != nil {
		return meshFacts{}, fmt.Errorf("read %s: %w", d.mesh(), err)
	}
	return f, nil
}

// followMembers tells the mesh and the connections who is a member, and keeps the
// copy. It ends with ctx.
func (s *session) followMembers(ctx context.Context) {
	var kept []byte
	for {
		members, secrets := s.store.Members().Changed(), s.store.Secrets().Changed()
		f := s.meshFacts()
		if f.complete() {
			s.peers.keep(f.Members)
			s.tellMesh(f)
			var err error
			if kept, err = s.remember(f, kept); err != nil {
				s.log.Error("members and gossip keys not kept on disk", "err", err)
			}
		}
		select {
		case <-members:
		case <-secrets:
		case <-ctx.Done():
			return
		}
	}
}

// tellMesh gives the mesh its members and keys, if it runs.
func (s *session) tellMesh(f meshFacts) {
	m := s.mesh.Load()
	if m == nil {
		return
	}
	var list []mesh.Member
	for _, member := range f.Members {
		if member.ID != s.node.ID {
			list = append(list, mesh.Member{
				Name: member.Name, GossipAddr: member.GossipAddr,
				HeartbeatAddrs: withPaths(member.HeartbeatAddrs, s.paths.Load(), member.Name),
			})
		}
	}
	m.SetMembers(list)
	if err := m.SetKeys(f.Keys); err != nil {
		s.log.Error("gossip keys refused", "err", err)
	}
}

// runMesh runs the mesh from when its keys are known until ctx is done, and starts
// it again when it could not, because a port is taken for example.
func (s *session) runMesh(ctx context.Context) {
	for ctx.Err() == nil {
		members, secrets := s.store.Members().Changed(), s.store.Secrets().Changed()
		facts := s.meshFacts()
		if !facts.complete() {
			select {
			case <-members:
			case <-secrets:
			case <-ctx.Done():
			}
			continue
		}
		err := s.runMeshOnce(ctx, facts)
		if ctx.Err() != nil {
			return
		}
		s.log.Error("mesh stopped, starting it again", "in", meshRetry.String(), "err", err)
		select {
		case <-time.After(meshRetry):
		case <-ctx.Done():
		}
	}
}

func (s *session) runMeshOnce(ctx context.Context, facts meshFacts) error {
	gossip, _ := s.o.gossipAddrs(s.node.Advertise)
	m, err := mesh.New(mesh.Options{
		Name: s.node.Name, ClusterID: s.node.ClusterID, Keys: facts.Keys,
		Advertise: gossip, GossipListen: s.o.GossipListen, HeartbeatListen: s.o.HeartbeatListen,
		Streams: gossipStreams{session: s, routeListener: s.port.routes[protoGossip].listener()},
		Receive: s.o.Receive,
		Conflict: func(name string, known, other netip.AddrPort) {
			s.log.Error("another machine uses a member's name", "node", name, "known", known.String(), "other", other.String())
		},
		Logger: s.log,
	})
	if err != nil {
		return err
	}
	s.mesh.Store(m)
	defer s.mesh.Store(nil)
	s.tellMesh(facts)
	return m.Run(ctx)
}

// gossipStreams carries the mesh's streams over the TLS port. It implements
// mesh.StreamLayer.
type gossipStreams struct {
	*routeListener
	session *session
}

// Dial implements mesh.StreamLayer.
func (g gossipStreams) Dial(ctx context.Context, member string, _ netip.AddrPort) (net.Conn, error) {
	for _, m := range g.session.members() {
		if m.Name == member {
			return dialTLS(ctx, m.Addr.String(), g.session.identity.Load().Client(member, protoGossip))
		}
	}
	return nil, fmt.Errorf("there is no member %s", member)
}

// Send sends payloads of at most mesh.MaxPayload bytes each to members, once and on
// every path; see mesh.Mesh.Send. What other members send comes in by
// Options.Receive.
func (c *Cluster) Send(members []string, payloads ...[]byte) error {
	m, err := c.runningMesh()
	if err != nil {
		return err
	}
	return m.Send(members, payloads...)
}

// Seal seals a payload for members, and returns where it would go, without sending
// it; see mesh.Mesh.Seal.
func (c *Cluster) Seal(payload []byte, members []string) (sealed []byte, to []netip.AddrPort, err error) {
	m, err := c.runningMesh()
	if err != nil {
		return nil, nil, err
	}
	return m.Seal(payload, members)
}

// SealGeneration changes when what was sealed before must be sealed again; 0: nothing
// can be sealed now.
func (c *Cluster) SealGeneration() uint64 {
	m, err := c.runningMesh()
	if err != nil {
		return 0
	}
	return m.Generation()
}

// SetPaths gives, by member, further addresses at which heartbeats reach it, beside
// those that it told when it joined: the networks of its virtual addresses. Several
// paths keep one network's failure from silencing a member.
func (c *Cluster) SetPaths(paths map[string][]netip.Addr) {
	s, err := c.current()
	if err != nil {
		return
	}
	s.paths.Store(&paths)
	if f := s.meshFacts(); f.complete() {
		s.tellMesh(f)
	}
}

// withPaths adds to the addresses of a member those of its further paths, with the
// heartbeat port that it told.
func withPaths(told []netip.AddrPort, paths *map[string][]netip.Addr, name string) []netip.AddrPort {
	if paths == nil || len(told) == 0 {
		return told
	}
	all := slices.Clone(told)
	for _, addr := range (*paths)[name] {
		if ap := netip.AddrPortFrom(addr, told[0].Port()); !slices.Contains(all, ap) {
			all = append(all, ap)
		}
	}
	return all
}

// MeshMembers returns what gossip thinks of the other members; nil while the mesh
// does not run.
func (c *Cluster) MeshMembers() []mesh.MemberState {
	m, err := c.runningMesh()
	if err != nil {
		return nil
	}
	return m.Members()
}

// MeshChanged returns a channel that is closed when MeshMembers changes next. While
// the mesh does not run, it is one that is closed when the node's state changes.
func (c *Cluster) MeshChanged() <-chan struct{} {
	m, err := c.runningMesh()
	if err != nil {
		return c.StateChanged()
	}
	return m.Changed()
}

// MeshStats counts the heartbeats.
func (c *Cluster) MeshStats() mesh.Stats {
	m, err := c.runningMesh()
	if err != nil {
		return mesh.Stats{}
	}
	return m.Stats()
}

func (c *Cluster) runningMesh() (*mesh.Mesh, error) {
	s, err := c.current()
	if err != nil {
		return nil, err
	}
	return s.runningMesh()
}

func (s *session) runningMesh() (*mesh.Mesh, error) {
	if m := s.mesh.Load(); m != nil {
		return m, nil
	}
	return nil, mesh.ErrStopped
}
