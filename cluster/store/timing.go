package store

import (
	"fmt"
	"time"
)

// Timing is how quickly Raft notices that a leader is gone.
type Timing struct {
	Heartbeat time.Duration // silence after which a follower asks for votes
	Election  time.Duration // silence after which a candidate asks again
	Lease     time.Duration // silence of a majority after which a leader steps down; at most Heartbeat
	// DiskStall is how long a write to the disk may take before the store gives
	// up, so that others can lead.
	DiskStall time.Duration
}

// LAN is the timing for nodes within a few milliseconds of each other: a new
// leader in about 0.6 s. Half of that also works, but a machine whose cores are
// three times oversubscribed then changes its leader every second, and messages of
// the leader are most of what an idle cluster costs.
func LAN() Timing {
	return Timing{
		Heartbeat: 300 * time.Millisecond,
		Election:  300 * time.Millisecond,
		Lease:     200 * time.Millisecond,
		DiskStall: 300 * time.Millisecond,
	}
}

func (t Timing) check() error {
	const least = 5 * time.Millisecond
	switch {
	case t.Heartbeat < least || t.Election < least || t.Lease < least:
		return fmt.Errorf("raft timing %v/%v/%v: use at least %v", t.Heartbeat, t.Election, t.Lease, least)
	case t.Lease > t.Heartbeat:
		return fmt.Errorf("raft timing: lease %v is above heartbeat %v: two nodes could lead for the difference", t.Lease, t.Heartbeat)
	case t.Election < t.Heartbeat:
		return fmt.Errorf("raft timing: election %v is below heartbeat %v", t.Election, t.Heartbeat)
	case t.DiskStall < least:
		return fmt.Errorf("raft timing: disk stall %v: use at least %v", t.DiskStall, least)
	}
	return nil
}
