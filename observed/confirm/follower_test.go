package confirm

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
)

func TestTheNextStepOfAWish(t *testing.T) {
	const base, made, other = 6, 7, 8
	for _, tt := range []struct {
		name         string
		after        time.Duration // since the wish
		over         bool
		latest, made uint64
		want         action
	}{
		{"not made yet", time.Minute, false, base, 0, wait},
		{"never made", 5 * time.Minute, false, base, 0, drop},
		{"another edit came first", time.Second, false, made, 0, drop},
		{"in time", time.Minute, false, made, made, wait},
		{"replaced by a rollback", time.Minute, false, other, made, drop},
		{"too late", 5 * time.Minute, false, made, made, expire},
		{"said to be too late by a node that counted faster", time.Minute, true, made, made, goBack},
		{"taken back", 5 * time.Minute, true, other, made, drop},
	} {
		s := Standing{wish("a"), tt.over, t0.Add(5 * time.Minute)}
		if got := next(s, t0.Add(tt.after), tt.latest, tt.made); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// cluster is the replicated state of nodes, and their followers.
type cluster struct {
	mu        sync.Mutex
	machine   *Machine
	revisions []store.Revision
	majority  bool
}

var errNoMajority = errors.New("no majority")

func newCluster(texts ...string) *cluster {
	c := &cluster{machine: NewMachine(time.Now), majority: true}
	for i, text := range texts {
		c.revisions = append(c.revisions, store.Revision{Number: uint64(i + 1), Text: text})
	}
	return c
}

func (c *cluster) Latest() (store.Revision, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.revisions[len(c.revisions)-1], nil
}

func (c *cluster) Get(n uint64) (store.Revision, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.revisions[n-1], nil
}

func (c *cluster) ByRequest(id string) (store.Revision, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.revisions {
		if r.RequestID == id {
			return r, true
		}
	}
	return store.Revision{}, false
}

func (c *cluster) apply(_ context.Context, _ string, cmd store.Command) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.majority {
		return nil, errNoMajority
	}
	return c.machine.Apply(cmd)
}

// propose is idempotent by request, as the store is.
func (c *cluster) propose(_ context.Context, p store.Proposal) (store.Revision, error) {
	if rev, done := c.ByRequest(p.RequestID); done {
		return rev, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.majority || p.Base != uint64(len(c.revisions)) {
		return store.Revision{}, errNoMajority
	}
	rev := store.Revision{Number: p.Base + 1, Base: p.Base, Text: p.Text, Message: p.Message, RequestID: p.RequestID}
	c.revisions = append(c.revisions, rev)
	return rev, nil
}

// edit makes a revision that waits to be confirmed.
func (c *cluster) edit(t *testing.T, id, text string, within time.Duration) {
	t.Helper()
	latest, _ := c.Latest()
	cmd, err := Want(Wish{ID: id, Base: latest.Number, For: within, By: "root", At: time.Now()})
	if err == nil {
		_, err = c.apply(t.Context(), "", cmd)
	}
	if err == nil {
		_, err = c.propose(t.Context(), store.Proposal{Base: latest.Number, Text: text, RequestID: id})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) texts() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, r := range c.revisions {
		out = append(out, r.Text)
	}
	return out
}

// follow starts a follower of each node, and ends them with the test's bubble.
func (c *cluster) follow(ctx context.Context, nodes ...string) {
	for _, node := range nodes {
		f := &Follower{
			Node: node, Log: slog.New(slog.DiscardHandler), Machine: c.machine, Revisions: c, Apply: c.apply, Propose: c.propose,
		}
		go f.Run(ctx) // ends with the test
	}
}

func in(t *testing.T, f func(t *testing.T, ctx context.Context)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f(t, ctx)
		cancel()
		synctest.Wait()
	})
}

func TestWhatIsNotConfirmedGoesBackOnce(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		c := newCluster("one")
		c.follow(ctx, "lb01", "lb02", "lb03")
		c.edit(t, "r", "two", 5*time.Minute)
		time.Sleep(time.Minute)
		u := Waiting(c.machine, c)
		if u == nil || u.Revision != 2 || u.Base != 1 || time.Until(u.Until) != 4*time.Minute {
			t.Errorf("shown is %+v, want revision 2 for four minutes more", u)
		}
		time.Sleep(4*time.Minute - time.Second)
		if got := c.texts(); len(got) != 2 {
			t.Errorf("too early: %q", got)
		}
		time.Sleep(time.Second + 3*lookEvery)
		if got := c.texts(); len(got) != 3 || got[2] != "one" {
			t.Errorf("revisions %q, want the first text again", got)
		}
		if want := "back to revision 1: revision 2 was not confirmed within 5m0s"; c.revisions[2].Message != want {
			t.Errorf("message %q, want %q", c.revisions[2].Message, want)
		}
		time.Sleep(time.Hour)
		if _, standing := c.machine.Standing(); standing || len(c.texts()) != 3 || Waiting(c.machine, c) != nil {
			t.Error("it does not end")
		}
	})
}

func TestWhatIsConfirmedStays(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		c := newCluster("one")
		c.follow(ctx, "lb01", "lb02")
		c.edit(t, "r", "two", 5*time.Minute)
		time.Sleep(4 * time.Minute)
		cmd, err := Keep("r", "root")
		if err == nil {
			_, err = c.apply(ctx, "", cmd)
		}
		time.Sleep(time.Hour)
		if got := c.texts(); err != nil || len(got) != 2 {
			t.Errorf("revisions %q, %v; want two", got, err)
		}
	})
}

func TestWithoutAMajorityItGoesBackWhenThereIsOne(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		c := newCluster("one")
		c.follow(ctx, "lb01")
		c.edit(t, "r", "two", time.Minute)
		c.mu.Lock()
		c.majority = false
		c.mu.Unlock()
		time.Sleep(time.Hour)
		if got := c.texts(); len(got) != 2 {
			t.Errorf("revisions %q without a majority", got)
		}
		c.mu.Lock()
		c.majority = true
		c.mu.Unlock()
		time.Sleep(4 * lookEvery)
		if got := c.texts(); len(got) != 3 {
			t.Errorf("revisions %q, want the first text again", got)
		}
	})
}

func TestARollbackEndsAWish(t *testing.T) {
	in(t, func(t *testing.T, ctx context.Context) {
		c := newCluster("one")
		c.follow(ctx, "lb01")
		c.edit(t, "r", "two", time.Minute)
		if _, err := c.propose(ctx, store.Proposal{Base: 2, Text: "one", RequestID: "rollback"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if _, standing := c.machine.Standing(); standing || len(c.texts()) != 3 {
			t.Errorf("revisions %q, standing %v; want three, and no wish", c.texts(), standing)
		}
	})
}
