package membership

import (
	"context"
	"hash/fnv"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
)

// goodbyeTime bounds how long the others are told that this node leaves.
const goodbyeTime = 500 * time.Millisecond

const (
	// freezeTime bounds the wait for what the arbiter hands over.
	freezeTime = 2 * time.Second
	// seqMargin is above what the arbiter may still send after it was asked.
	seqMargin = 1000
	// restartWithin is the time in which a planned restart is over, whatever becomes
	// of it: the supervisor waits no longer for this process to hand over.
	restartWithin = 15 * time.Second
)

// Life is that of an arbiter, which goes on in the next process (F26). The zero value:
// there is none to go on with.
type Life struct {
	Boot        splitbrain.BootID
	Incarnation uint64 // of the cluster that it is in
	Seq         uint64
	Arbiter     []byte // its leases, and what its voter has granted
}

// HandOver stops the arbiter, and gives what the next process goes on with.
func (s *Membership) HandOver() Life {
	ctx, cancel := context.WithTimeout(context.Background(), freezeTime)
	defer cancel()
	l := Life{Boot: s.boot, Incarnation: s.incarnation, Seq: s.Arbiter.Sent() + seqMargin}
	var err error
	if l.Arbiter, err = s.Arbiter.Freeze(ctx); err != nil {
		s.o.Log.Warn("leases are not handed over", "err", err)
	}
	return l
}

// SayRestart tells the others, by the heartbeats, that this process ends on purpose
// and another one goes on. They show it to people, and do nothing else.
func (s *Membership) SayRestart() {
	s.restarting.Store(time.Now().Add(restartWithin).Unix())
	s.tellFacts()
}

// SayGoodbye tells the others that this node goes, after its units have let go.
func (s *Membership) SayGoodbye() {
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeTime)
	defer cancel()
	if err := s.Arbiter.Leave(ctx); err != nil {
		s.o.Log.Warn("the others may not know that this node leaves", "err", err)
	}
}

// incarnation makes the number that heartbeats carry of a cluster's identity.
func incarnation(clusterID string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(clusterID))
	return h.Sum64()
}
