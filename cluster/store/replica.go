package store

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// The pause between the end of what hung in the disk and the next opening. It
// doubles each time that the disk fails again, or cannot be opened, and begins
// anew when a store was open for calmTime.
const (
	firstPause = time.Second
	mostPause  = 30 * time.Second
	calmTime   = time.Minute
)

// replica is Raft at work on its files, from their opening until the disk fails or
// the store is closed.
type replica struct {
	raft  *raft.Raft
	disk  *disk
	parts *parts
}

// openReplica opens the files and starts Raft on them.
func openReplica(o Options, f *fsm) (*replica, error) {
	p, err := o.open(o)
	if err != nil {
		return nil, err
	}
	d := newDisk(p.logs, p.stable, o.Timing.DiskStall, o.Logger)
	var r *raft.Raft
	var starting sync.WaitGroup
	starting.Go(func() { // a goroutine of its own, because disk.must may end it
		r, err = raft.NewRaft(raftConfig(o), f, d, d, p.snapshots, transport{p.transport, p.transport})
	})
	starting.Wait()
	if r == nil {
		if err == nil {
			err = d.err
		}
		d.Close()
		<-d.idle
		return nil, errors.Join(fmt.Errorf("start raft: %w", err), p.close())
	}
	return &replica{raft: r, disk: d, parts: p}, nil
}

// close stops Raft at once and closes its files when nothing works on them any
// more: the channel then gives the result. Something that hangs in the disk holds
// that up.
func (r *replica) close() <-chan error {
	stopped, done := r.raft.Shutdown(), make(chan error, 1)
	go func() {
		err := stopped.Error() // waits for all that Raft has started
		r.disk.Close()
		<-r.disk.idle
		done <- errors.Join(err, r.parts.close())
	}()
	return done
}

// raft and disk return those of the present replica.
func (s *Store) raft() *raft.Raft { return s.replica.Load().raft }
func (s *Store) disk() *disk      { return s.replica.Load().disk }

// use makes a replica the present one. Open and keepOpen call it.
func (s *Store) use(r *replica) {
	s.replica.Store(r)
	s.running.Go(func() { s.watchLeadership(r) })
}

// keepOpen owns the replica. When the disk fails it stops Raft, so that this node
// neither leads nor votes from then on, and opens it anew when the disk answers
// again. It ends with the store.
func (s *Store) keepOpen() {
	defer close(s.ended)
	pause := firstPause
	for {
		r, opened := s.replica.Load(), time.Now()
		select {
		case <-r.disk.failed:
		case <-s.closing:
			select {
			case s.closeErr = <-r.close():
			case <-r.disk.failed:
				s.closeErr = r.disk.err
			}
			return
		}
		failed := time.Now()
		if failed.Sub(opened) > calmTime {
			pause = firstPause
		}
		closed := r.close()
		select {
		case err := <-closed:
			if err != nil {
				s.log.Warn("close state", "err", err)
			}
		case <-s.closing:
			s.closeErr = r.disk.err
			return
		}
		next := s.reopen(&pause)
		if next == nil {
			return
		}
		s.use(next)
		s.log.Info("disk answers again, store reopened", "away", time.Since(failed).Round(time.Millisecond).String())
	}
}

// reopen tries until it has opened the files anew, and raises the pause for each
// time; nil says that the store is closed.
func (s *Store) reopen(pause *time.Duration) *replica {
	for {
		select {
		case <-time.After(*pause):
		case <-s.closing:
			return nil
		}
		*pause = min(2**pause, mostPause)
		// The disk may hang again, and nothing bounds that here.
		result := make(chan *replica)
		go func() { // ends when the disk has answered
			r, err := openReplica(s.o, s.fsm)
			if err != nil {
				s.log.Warn("store not reopened", "again_in", pause.String(), "err", err)
			}
			select {
			case result <- r:
			case <-s.closing:
				if r != nil {
					<-r.close()
				}
			}
		}()
		select {
		case r := <-result:
			if r != nil {
				return r
			}
		case <-s.closing:
			return nil
		}
	}
}
