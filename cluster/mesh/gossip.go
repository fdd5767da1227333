package mesh

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// The pace of gossip: a dead member is known as such within a second, for a
// quarter of a percent of a processor. Slower ones do not suit fail-over, and
// quicker ones take a busy machine for a dead one.
const (
	probeInterval  = 200 * time.Millisecond
	probeTimeout   = 100 * time.Millisecond
	gossipInterval = 50 * time.Millisecond
	streamTimeout  = 2 * time.Second
	syncInterval   = 10 * time.Second

	// rejoinInterval and as much again by chance is the time between two
	// attempts to join a member that is not alive. memberlist forgets the dead;
	// without this a partition of half a minute would last for ever.
	rejoinInterval = time.Second
)

func (m *Mesh) gossipConfig(t *transport) *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.Name = m.o.Name
	c.Transport = t
	c.Label = m.o.ClusterID // bound to every packet and stream as additional data
	c.Keyring = m.ring
	c.Logger = newBridge(m.log)

	c.ProbeInterval = probeInterval
	c.ProbeTimeout = probeTimeout
	c.GossipInterval = gossipInterval
	c.PushPullInterval = syncInterval
	c.TCPTimeout = streamTimeout
	c.SuspicionMult = 2
	c.SuspicionMaxTimeoutMult = 2
	c.AwarenessMaxMultiplier = 2
	c.EnableCompression = false
	// A member whose address was changed in the configuration takes its name
	// back this long after its old address died.
	c.DeadNodeReclaimTime = 2 * time.Second

	d := (*delegate)(m)
	c.Delegate, c.Events, c.Alive, c.Conflict, c.Ping = d, d, d, d, d
	return c
}

// rejoin joins every configured member that is not alive, again and again,
// until ctx is done. It waits for the attempts under way.
func (m *Mesh) rejoin(ctx context.Context, gossip *memberlist.Memberlist) {
	var attempts sync.WaitGroup
	defer attempts.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.kick:
		case <-timer.C:
		}
		for _, member := range m.absent() {
			attempts.Go(func() { // ends within twice streamTimeout
				// memberlist logs what goes wrong at debug level: that an
				// absent member is still absent is no news each second.
				_, _ = gossip.Join([]string{member.Name + "/" + member.GossipAddr.String()})
				m.mu.Lock()
				delete(m.joining, member.Name)
				m.mu.Unlock()
			})
		}
		timer.Reset(rejoinInterval + rand.N(rejoinInterval))
	}
}

// Leave tells the others that this node goes on purpose, so that they see it
// as left and not as dead. The mesh goes on until Run ends, but does not join
// anybody any more.
func (m *Mesh) Leave(ctx context.Context) error {
	m.mu.Lock()
	gossip := m.gossip
	m.leaving = true
	m.mu.Unlock()
	if gossip == nil {
		return fmt.Errorf("mesh: leave: %w", ErrStopped)
	}
	// memberlist does not hand on whether a member left or died. This does;
	// twice, because a datagram may be lost.
	word := append([]byte{wordGoodbye}, m.o.Name...)
	for range 2 {
		for _, node := range gossip.Members() {
			if node.Name != m.o.Name {
				if err := gossip.SendBestEffort(node, word); err != nil {
					m.log.Debug("gossip", "text", err.Error())
				}
			}
		}
	}
	timeout := 2 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		timeout = max(time.Until(deadline), time.Millisecond)
	}
	if err := gossip.Leave(timeout); err != nil {
		return fmt.Errorf("mesh: leave: %w", err)
	}
	return nil
}
