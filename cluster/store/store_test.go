package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

func TestProposalOnAFollowerIsReadableThereAndEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 3, nil)
		defer l.close()
		ctx := within(t, 5*time.Second)

		follower := l.follower()
		rev, err := follower.Propose(ctx, Proposal{Text: "vrrp_instance VI_1 { }\n", Author: "root@b", Message: "first"})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := follower.Revisions().Latest(); err != nil || got.Number != 1 || got.Hash != rev.Hash {
			t.Fatalf("Latest on the proposer = %d %v (%v), want 1 %v", got.Number, got.Hash, err, rev.Hash)
		}
		for _, node := range l.nodes {
			if err := node.Sync(ctx); err != nil {
				t.Fatal(err)
			}
			got, err := node.Revisions().Get(1)
			if err != nil || got.Text != "vrrp_instance VI_1 { }\n" || got.Author != "root@b" {
				t.Errorf("Get(1) on %s = %+v, %v", node.id, got, err)
			}
		}
	})
}

func TestProposalOnAnOldBaseIsAConflictThatNamesTheNewerRevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 1, nil)
		defer l.close()
		ctx := within(t, 5*time.Second)
		for i, author := range []string{"ann", "bob"} {
			if _, err := l.nodes[0].Propose(ctx, Proposal{Base: uint64(i), Text: author, Author: author}); err != nil {
				t.Fatal(err)
			}
		}
		_, err := l.nodes[0].Propose(ctx, Proposal{Base: 1, Text: "carl", Author: "carl"})
		conflict, ok := errors.AsType[*ConflictError](err)
		if !ok || conflict.Current != 2 || conflict.Author != "bob" {
			t.Fatalf("Propose = %v, want a conflict with revision 2 of bob", err)
		}
	})
}

func TestSameRequestIDHasTheSameAnswerAndOneEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 3, nil)
		defer l.close()
		ctx := within(t, 5*time.Second)
		p := Proposal{Text: "one", RequestID: "r1"}
		first, err := l.nodes[0].Propose(ctx, p)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // another time stamp
		again, err := l.nodes[1].Propose(ctx, p)
		if err != nil || again != first {
			t.Fatalf("second answer = %+v, %v, want %+v", again, err, first)
		}
		if got := len(l.nodes[1].Revisions().History(0)); got != 1 {
			t.Errorf("%d revisions, want 1", got)
		}
		if byID, ok := l.nodes[2].Revisions().ByRequest("r1"); !ok || byID.Number != 1 {
			t.Errorf("ByRequest = %+v, %v", byID, ok)
		}
		err = l.nodes[0].RevokeToken(ctx, "x", "root", time.Now())
		if refusal, ok := errors.AsType[*Refusal](err); !ok || refusal.Code != CodeTokenUnknown {
			t.Errorf("RevokeToken of an unknown token = %v", err)
		}
	})
}

func TestAcknowledgedRevisionsSurviveTheLossOfTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 3, nil)
		defer l.close()
		ctx := within(t, 20*time.Second)
		old := l.leader()
		for i := range 5 {
			if _, err := old.Propose(ctx, Proposal{Base: uint64(i), Text: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
		l.isolate(old)
		next := l.leader(old)
		if err := next.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		if rev, err := next.Revisions().Latest(); err != nil || rev.Number != 5 {
			t.Fatalf("Latest on the new leader = %d, %v, want 5", rev.Number, err)
		}
		if _, err := next.Propose(ctx, Proposal{Base: 5, Text: "5"}); err != nil {
			t.Fatal(err)
		}
		// The former leader's copy is old, so a read that matters must fail there.
		if err := old.Sync(within(t, time.Second)); !errors.Is(err, ErrNoLeader) {
			t.Fatalf("Sync on the cut-off leader = %v, want ErrNoLeader", err)
		}
		l.heal()
		if err := old.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		if rev, _ := old.Revisions().Latest(); rev.Number != 6 {
			t.Errorf("Latest on the returned leader = %d, want 6", rev.Number)
		}
	})
}

func TestFormerLeaderCannotServeAReadInTheInstantOfTheCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 3, nil)
		defer l.close()
		old := l.leader()
		l.isolate(old)
		if !old.Leads() {
			t.Fatal("the leader stepped down before it could know")
		}
		if _, err := old.ReadIndex(within(t, time.Second)); err == nil {
			t.Fatal("ReadIndex succeeded without a majority")
		}
	})
}

func TestWithoutMajorityAProposalSaysWhetherAnythingCanHaveChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 3, nil)
		defer l.close()
		old := l.leader()
		l.isolate(old)

		// Handed to a leader that does not know yet that it has lost its majority.
		_, err := old.Propose(within(t, time.Second), Proposal{Text: "x", RequestID: "r"})
		if unknown, ok := errors.AsType[*UnknownOutcomeError](err); !ok || unknown.RequestID != "r" {
			t.Errorf("Propose on the cut-off leader = %v, want an unknown outcome of request r", err)
		}
		// And to nobody.
		_, err = old.Propose(within(t, time.Second), Proposal{Text: "y"})
		if !errors.Is(err, ErrNoLeader) {
			t.Errorf("Propose without leader = %v, want ErrNoLeader", err)
		}
	})
}

func TestWatchSkipsToTheNewestRevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 1, nil)
		defer l.close()
		ctx := within(t, 5*time.Second)
		got := make(chan uint64)
		go func() {
			rev, err := l.nodes[0].Revisions().Watch(ctx, 0)
			if err != nil {
				t.Error(err)
			}
			got <- rev.Number
		}()
		synctest.Wait()
		for i := range 3 {
			if _, err := l.nodes[0].Propose(ctx, Proposal{Base: uint64(i), Text: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
		if n := <-got; n == 0 {
			t.Errorf("Watch returned revision %d", n)
		}
		rev, err := l.nodes[0].Revisions().Watch(ctx, 2)
		if err != nil || rev.Number != 3 || rev.Text != "2" {
			t.Errorf("Watch(2) = %+v, %v", rev, err)
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := l.nodes[0].Revisions().Watch(short, 3); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Watch(3) = %v, want a deadline", err)
		}
	})
}

func TestCommandOfANewerVersionIsRefusedBeforeTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 1, nil)
		defer l.close()
		before := l.nodes[0].Applied()
		for _, cmd := range []Command{
			{Machine: "revisions", Name: "propose", Version: 2},
			{Machine: "revisions", Name: "propose", Version: 0},
			{Machine: "revisions", Name: "amend", Version: 1},
			{Machine: "rollout", Name: "start", Version: 1},
		} {
			_, err := l.nodes[0].Apply(within(t, time.Second), cmd)
			if _, ok := errors.AsType[*UnknownCommandError](err); !ok {
				t.Errorf("Apply(%s) = %v, want an UnknownCommandError", cmd, err)
			}
		}
		if got := l.nodes[0].Applied(); got != before {
			t.Errorf("applied index went from %d to %d", before, got)
		}
	})
}

func TestCommandFromANewerLeaderHaltsTheStateInsteadOfBeingMisapplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 1, nil)
		defer l.close()
		node := l.nodes[0]
		cmd := Command{Machine: "revisions", Name: "propose", Version: 9, RequestID: "x"}
		encoded, err := cmd.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := node.raft().Apply(encoded, time.Second).Error(); err != nil {
			t.Fatal(err)
		}
		if _, ok := errors.AsType[*UnknownCommandError](node.Err()); !ok {
			t.Fatalf("Err = %v, want an UnknownCommandError", node.Err())
		}
		if err := node.raft().Snapshot().Error(); err == nil {
			t.Error("a halted state was snapshotted; Raft would forget what it could not apply")
		}
		if _, err := node.Propose(within(t, time.Second), Proposal{Text: "later"}); err == nil {
			t.Error("a command behind the unknown one was carried out")
		}
	})
}

// fullDisk is a stable store that takes no write while full is set.
type fullDisk struct {
	raft.StableStore
	full atomic.Bool
}

func (d *fullDisk) SetUint64(key []byte, value uint64) error {
	if d.full.Load() {
		return errors.New("no space left on device")
	}
	return d.StableStore.SetUint64(key, value)
}

func TestNodeThatCannotKeepItsTermLeavesRaftAndLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disks := make(map[string]*fullDisk)
		l := newLAN(t, 3, func(o *Options, p *parts) {
			d := &fullDisk{StableStore: p.stable}
			disks[o.Server.ID] = d
			p.stable = d
		})
		defer func() {
			for _, node := range l.nodes {
				_ = node.Close() // the full one says so again
			}
		}()
		ctx := within(t, 20*time.Second)
		full := l.follower()
		disks[full.id].full.Store(true)
		old := l.leader()
		l.isolate(old)
		eventually := time.Now().Add(10 * time.Second)
		for full.Err() == nil && time.Now().Before(eventually) {
			time.Sleep(50 * time.Millisecond)
		}
		if err := full.Err(); err == nil || !strings.Contains(err.Error(), "no space left") {
			t.Fatalf("Err of the node with the full disk = %v", err)
		}
		l.heal()
		for _, node := range l.nodes {
			if node == full {
				continue
			}
			if err := node.Sync(ctx); err != nil {
				t.Errorf("%s: %v", node.id, err)
			}
		}
	})
}

func TestNewNodeGetsASnapshotWhenTheLogIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		small := func(o *Options, _ *parts) { o.SnapshotAfter = 8 }
		l := newLAN(t, 1, small)
		defer l.close()
		ctx := within(t, 20*time.Second)
		leader := l.nodes[0]
		for i := range 50 {
			if _, err := leader.Propose(ctx, Proposal{Base: uint64(i), Text: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := leader.raft().Snapshot().Error(); err != nil {
			t.Fatal(err)
		}
		if first, err := leader.logs.FirstIndex(); err != nil || first < 10 {
			t.Fatalf("the log begins at %d, %v: it was not shortened", first, err)
		}
		node := l.start("b", raft.NewInmemStore(), small)
		if err := leader.AddServer(ctx, Server{ID: "b", Addr: "b"}); err != nil {
			t.Fatal(err)
		}
		if err := node.WaitApplied(ctx, leader.Applied()); err != nil {
			t.Fatal(err)
		}
		if rev, err := node.Revisions().Get(3); err != nil || rev.Text != "2" {
			t.Errorf("Get(3) on the new node = %+v, %v", rev, err)
		}
		// And it goes on from there.
		if _, err := node.Propose(ctx, Proposal{Base: 50, Text: "50"}); err != nil {
			t.Error(err)
		}
	})
}
