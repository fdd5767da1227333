package mesh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// Mesh is one node's part in the mesh. Its methods may be called at any time,
// by anybody.
type Mesh struct {
	o    Options
	log  *slog.Logger
	ring *memberlist.Keyring
	kick chan struct{} // tells the rejoin loop that members have changed

	sending sync.Mutex // of Send, before mu
	sealed  [][]byte   // reused; guarded by sending

	// mu guards what follows. memberlist calls back with its own lock held, so
	// memberlist is never called with mu held.
	mu         sync.Mutex
	sealer     *sealer
	meta       []byte
	configured map[string]Member
	generation uint64 // of members and keys
	seen       map[string]*seen
	joining    map[string]bool
	changed    chan struct{} // closed at the next change
	heartbeats PacketConn    // nil: not running
	gossip     *memberlist.Memberlist
	leaving    bool
	trials     []trial // the oldest first

	sent, failed, received, rejected atomic.Uint64
}

// New checks the options. Run opens the sockets.
func New(o Options) (*Mesh, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	sealer, err := newSealer(o.ClusterID, o.Keys)
	if err != nil {
		return nil, fmt.Errorf("mesh: %w", err)
	}
	ring, err := memberlist.NewKeyring(o.Keys, o.Keys[0])
	if err != nil {
		return nil, fmt.Errorf("mesh: %w", err)
	}
	return &Mesh{
		o: o, log: o.Logger, ring: ring, kick: make(chan struct{}, 1),
		sealer: sealer, meta: slices.Clone(o.Meta),
		configured: make(map[string]Member), seen: make(map[string]*seen),
		joining: make(map[string]bool), changed: make(chan struct{}),
		generation: uint64(time.Now().UnixNano()),
	}, nil
}

// Run serves until ctx is done, and then releases everything: it does not say
// goodbye, Leave does. It may be called once. A last probe of memberlist's may
// outlive it by two seconds; it finds everything closed.
func (m *Mesh) Run(ctx context.Context) error {
	gossipConn, err := m.o.ListenPacket(m.o.GossipListen)
	if err != nil {
		return errors.Join(fmt.Errorf("mesh: gossip: %w", err), m.o.Streams.Close())
	}
	transport := newTransport(gossipConn, m.o.Streams, m.o.Advertise, m.log)
	heartbeats, err := m.o.ListenPacket(m.o.HeartbeatListen)
	if err != nil {
		return errors.Join(fmt.Errorf("mesh: heartbeats: %w", err), transport.Shutdown())
	}
	gossip, err := memberlist.Create(m.gossipConfig(transport))
	if err != nil {
		return errors.Join(fmt.Errorf("mesh: gossip: %w", err), transport.Shutdown(), heartbeats.Close())
	}

	m.mu.Lock()
	m.heartbeats, m.gossip = heartbeats, gossip
	m.mu.Unlock()

	var running sync.WaitGroup
	running.Go(func() { m.receive(heartbeats) }) // ends when the socket is closed
	m.rejoin(ctx, gossip)

	m.mu.Lock()
	m.heartbeats, m.gossip = nil, nil
	m.mu.Unlock()
	err = errors.Join(heartbeats.Close(), gossip.Shutdown(), transport.Shutdown())
	running.Wait()
	if err != nil {
		return fmt.Errorf("mesh: close: %w", err)
	}
	return nil
}

// SetMembers replaces the list of other members. Heartbeats go to them, gossip
// accepts them and nobody else, and is joined to them again and again. An
// entry for this node itself is ignored.
func (m *Mesh) SetMembers(members []Member) {
	configured := make(map[string]Member, len(members))
	for _, member := range members {
		if member.Name != m.o.Name {
			member.HeartbeatAddrs = slices.Clone(member.HeartbeatAddrs)
			configured[member.Name] = member
		}
	}
	m.mu.Lock()
	m.configured = configured
	m.generation++
	m.announceChange()
	m.mu.Unlock()
	select {
	case m.kick <- struct{}{}:
	default: // it is told already
	}
}

// SetKeys replaces the keyring. To rotate without a gap: add the new key behind
// the old one on every node, then put it first on every node, then drop the
// old one.
func (m *Mesh) SetKeys(keys [][]byte) error {
	if err := checkKeys(keys); err != nil {
		return err
	}
	m.mu.Lock()
	err := m.sealer.setKeys(keys)
	m.generation++
	m.mu.Unlock()
	if err != nil {
		return fmt.Errorf("mesh: %w", err)
	}
	return m.setRing(keys)
}

// setRing brings memberlist's ring to keys. Readers use its slice without a
// lock, and removing a key from the middle shifts that slice under them; so the
// keys that stay are moved to the front, each move making a new slice, and the
// others cut off the end.
func (m *Mesh) setRing(keys [][]byte) error {
	for _, key := range slices.Backward(keys) {
		if err := m.ring.AddKey(slices.Clone(key)); err != nil {
			return fmt.Errorf("mesh: add gossip key: %w", err)
		}
		if err := m.ring.UseKey(key); err != nil {
			return fmt.Errorf("mesh: use gossip key: %w", err)
		}
	}
	for _, key := range slices.Backward(m.ring.GetKeys()[len(keys):]) {
		if err := m.ring.RemoveKey(key); err != nil {
			return fmt.Errorf("mesh: remove gossip key: %w", err)
		}
	}
	return nil
}

// SetMeta replaces what gossip tells of this node, at most MaxMeta bytes. It
// waits up to a second until others are told; who is not, learns it later.
func (m *Mesh) SetMeta(meta []byte) error {
	if len(meta) > MaxMeta {
		return fmt.Errorf("mesh: meta has %d bytes; use at most %d", len(meta), MaxMeta)
	}
	m.mu.Lock()
	m.meta = slices.Clone(meta)
	gossip := m.gossip
	m.mu.Unlock()
	if gossip == nil {
		return nil // told at the start
	}
	if err := gossip.UpdateNode(time.Second); err != nil {
		m.log.Debug("gossip", "text", err.Error())
	}
	return nil
}

// HeartbeatAddr is where a running mesh listens for heartbeats.
func (m *Mesh) HeartbeatAddr() (netip.AddrPort, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.heartbeats == nil {
		return netip.AddrPort{}, ErrStopped
	}
	return m.heartbeats.LocalAddr(), nil
}
