package store

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// slowDisk is a log whose writes hang from stall on, until release is closed.
type slowDisk struct {
	raft.LogStore
	stall   atomic.Bool
	release chan struct{}
	hanging atomic.Int32
	behind  atomic.Int32 // writes that were issued while another one hung
}

func (d *slowDisk) StoreLogs(entries []*raft.Log) error {
	if d.hanging.Load() > 0 {
		d.behind.Add(1)
	}
	if d.stall.Load() {
		d.hanging.Add(1)
		<-d.release
		d.hanging.Add(-1)
	}
	return d.LogStore.StoreLogs(entries)
}

// newSlowLAN makes a cluster of three whose disks hang as long as release is open.
func newSlowLAN(t *testing.T, release chan struct{}) (*lan, map[string]*slowDisk) {
	t.Helper()
	disks := make(map[string]*slowDisk)
	l := newLAN(t, 3, func(o *Options, p *parts) {
		d := &slowDisk{LogStore: p.logs, release: release}
		disks[o.Server.ID] = d
		p.logs = d
	})
	return l, disks
}

func TestLeaderWithAStalledDiskStepsDownAndTheOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		l, disks := newSlowLAN(t, release)
		defer l.close()
		ctx := within(t, 20*time.Second)
		old := l.leader()
		defer close(release)
		disks[old.id].stall.Store(true)

		started := time.Now()
		_, err := old.Propose(within(t, 2*time.Second), Proposal{Text: "stuck"})
		if err == nil {
			t.Fatal("a proposal succeeded on a disk that hangs")
		}
		next := l.leader(old)
		if took := time.Since(started); took > 3*time.Second {
			t.Errorf("new leader after %v", took)
		}
		if !errors.Is(old.Err(), ErrDiskStalled) {
			t.Errorf("Err of the old leader = %v, want ErrDiskStalled", old.Err())
		}
		if err := next.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		latest, _ := next.Revisions().Latest()
		if _, err := next.Propose(ctx, Proposal{Base: latest.Number, Text: "goes on"}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestNodeWhoseDiskAnswersAgainVotesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		l, disks := newSlowLAN(t, release)
		defer l.close()
		ctx := within(t, 60*time.Second)
		old := l.leader()
		revisions := old.Revisions() // given out before, and used after
		if _, err := old.Propose(ctx, Proposal{Text: "before"}); err != nil {
			t.Fatal(err)
		}
		disk := disks[old.id]
		disk.stall.Store(true)
		if _, err := old.Propose(within(t, 500*time.Millisecond), Proposal{Base: 1, Text: "stuck"}); err == nil {
			t.Fatal("a proposal succeeded on a disk that hangs")
		}
		next := l.leader(old)
		if _, err := next.Propose(ctx, Proposal{Base: 1, Text: "meanwhile"}); err != nil {
			t.Fatal(err)
		}
		if rev, err := revisions.Latest(); err != nil || rev.Number != 1 {
			t.Errorf("Latest on the node with the stalled disk = %d, %v, want 1", rev.Number, err)
		}
		time.Sleep(500 * time.Millisecond)
		disk.stall.Store(false)
		close(release)

		rev, err := revisions.Watch(ctx, 1)
		if err != nil || rev.Number != 2 || rev.Text != "meanwhile" {
			for _, n := range l.nodes {
				second, err := n.Revisions().Get(2)
				t.Logf("%s (the stalled one: %t, the new leader: %t): revision 2 is %q, %v", n.id, n == old, n == next, second.Text, err)
			}
			t.Fatalf("Watch on the node that came back = %d %q, %v", rev.Number, rev.Text, err)
		}
		// Raft applies what it finds before the store has taken it over.
		for range 100 {
			if old.Err() == nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if err := old.Err(); err != nil {
			t.Errorf("Err of the node that came back = %v", err)
		}
		if rev, err := revisions.Get(1); err != nil || rev.Text != "before" {
			t.Errorf("what was acknowledged before = %q, %v", rev.Text, err)
		}
		if n := disk.behind.Load(); n != 0 {
			t.Errorf("%d writes were issued behind the one that hung", n)
		}
		// Its vote is the one that makes the majority.
		for _, node := range l.nodes {
			if node != old && node != next {
				l.isolate(node)
			}
		}
		if _, err := old.Propose(ctx, Proposal{Base: 2, Text: "together"}); err != nil {
			t.Errorf("with the node that came back as second of two: %v", err)
		}
	})
}

func TestNodeWhoseDiskNeverAnswersWaitsForItAndDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		l, disks := newSlowLAN(t, release)
		defer l.close()
		defer close(release)
		old := l.leader()
		disks[old.id].stall.Store(true)
		if _, err := old.Propose(within(t, time.Second), Proposal{Text: "stuck"}); err == nil {
			t.Fatal("a proposal succeeded on a disk that hangs")
		}
		for range 60 {
			time.Sleep(10 * time.Second)
			if !errors.Is(old.Err(), ErrDiskStalled) || old.Leads() {
				t.Fatalf("Err = %v, leads %v, want ErrDiskStalled and no leader", old.Err(), old.Leads())
			}
		}
		if n := old.opened.Load(); n != 1 {
			t.Errorf("the files were opened %d times", n)
		}
		if err := old.Close(); !errors.Is(err, ErrDiskStalled) {
			t.Errorf("Close = %v, want ErrDiskStalled", err)
		}
	})
}

func TestStoreThatFailsAtEachOpeningIsReopenedMoreAndMoreRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &fullDisk{}
		l := newLAN(t, 1, func(_ *Options, p *parts) {
			disk.StableStore = p.stable
			p.stable = disk
		})
		node := l.nodes[0]
		defer func() { _ = node.Close() }() // may say that the disk failed
		if _, err := node.Propose(within(t, time.Second), Proposal{Text: "kept"}); err != nil {
			t.Fatal(err)
		}
		disk.full.Store(true)
		ended := make(chan struct{})
		go func() { // a write that fails ends its goroutine
			defer close(ended)
			_ = node.disk().SetUint64([]byte("x"), 1)
			t.Error("a write to a full disk succeeded")
		}()
		<-ended
		time.Sleep(5 * time.Minute)
		// After 1, 2, 4, 8 and 16 seconds, then all 30.
		if n := node.opened.Load(); n < 10 || n > 16 {
			t.Errorf("the files were opened %d times in 5 minutes, want about 15", n)
		}
		disk.full.Store(false)
		time.Sleep(31 * time.Second)
		if _, err := node.Propose(within(t, time.Minute), Proposal{Base: 1, Text: "goes on"}); err != nil {
			t.Error(err)
		}
	})
}

func TestFilesThatWereReopenedHoldWhatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	o, err := aloneOptions(dir)
	if err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	var disks []*slowDisk // of one opening after the other; the store is waited for in between
	o.open = func(o Options) (*parts, error) {
		p, err := openParts(o)
		if err == nil {
			disks = append(disks, &slowDisk{LogStore: p.logs, release: release})
			p.logs = disks[len(disks)-1]
		}
		return p, err
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx := within(t, 30*time.Second)
	if err := s.Bootstrap(ctx); err != nil {
		t.Fatal(err)
	}
	// More than a snapshot's worth: the files then begin with one older than the state.
	for base := range uint64(40) {
		if base == 30 {
			if err := s.raft().Snapshot().Error(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Propose(ctx, Proposal{Base: base, Text: fmt.Sprint("text ", base+1)}); err != nil {
			t.Fatal(err)
		}
	}
	disks[0].stall.Store(true)
	if _, err := s.Propose(within(t, 2*time.Second), Proposal{Base: 40, Text: "stuck"}); err == nil {
		t.Fatal("a proposal succeeded on a disk that hangs")
	}
	close(release)
	for s.Err() != nil && ctx.Err() == nil {
		time.Sleep(20 * time.Millisecond)
	}
	if err := s.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	// The late write may have gone through or not.
	latest, err := s.Revisions().Latest()
	if err != nil || latest.Number < 40 || latest.Number > 41 {
		t.Fatalf("Latest = %d, %v, want 40 or 41", latest.Number, err)
	}
	if _, err := s.Propose(ctx, Proposal{Base: latest.Number, Text: "goes on"}); err != nil {
		t.Fatal(err)
	}
	history := s.Revisions().History(0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	// A program that starts again finds the same.
	again, err := openAlone(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := again.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	if got := again.Revisions().History(0); !slices.Equal(got, history) {
		t.Errorf("history after a start = %d revisions, want the same %d", len(got), len(history))
	}
	if rev, err := again.Revisions().Get(17); err != nil || rev.Text != "text 17" {
		t.Errorf("Get(17) = %q, %v", rev.Text, err)
	}
}
