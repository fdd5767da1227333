package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
)

// call is what a client asked: to propose a text on a base, or to read.
type call struct {
	read bool
	base uint64
	text string
}

// answer is what it was told.
type answer struct {
	unknown bool // it may have happened, or may still happen
	refused bool // conflict: latest is the revision that was named
	latest  uint64
	text    string // of a read
}

// history is the state of the model: the revisions are one register.
type history struct {
	latest uint64
	text   string
}

var revisionModel = porcupine.NondeterministicModel{
	Init: func() []any { return []any{history{}} },
	Step: func(state, input, output any) []any {
		h, in, out := state.(history), input.(call), output.(answer)
		proposed := history{latest: in.base + 1, text: in.text}
		switch {
		case in.read && out.latest == h.latest && out.text == h.text:
			return []any{h}
		case in.read:
			return nil
		case out.unknown && in.base == h.latest:
			return []any{h, proposed}
		case out.unknown:
			return []any{h}
		case out.refused && in.base != h.latest && out.latest == h.latest:
			return []any{h}
		case !out.refused && in.base == h.latest && out.latest == proposed.latest:
			return []any{proposed}
		default:
			return nil
		}
	},
	Equal: func(a, b any) bool { return a == b },
	DescribeOperation: func(input, output any) string {
		return fmt.Sprintf("%+v -> %+v", input, output)
	},
}

// recorder collects the operations of all clients. Its clock is a counter, so that
// no two events are at the same time.
type recorder struct {
	clock atomic.Int64
	mu    sync.Mutex
	ops   []porcupine.Operation
}

func (r *recorder) add(client int, began int64, in call, out answer) {
	ended := r.clock.Add(1)
	if out.unknown {
		ended = 1 << 62 // it may take effect at any time from here on
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, porcupine.Operation{ClientId: client, Input: in, Call: began, Output: out, Return: ended})
}

// client reads and proposes on one node until ctx is done.
func (r *recorder) client(ctx context.Context, id int, node *lanNode, rng *rand.Rand) {
	for n := 0; ctx.Err() == nil; n++ {
		op, cancel := context.WithTimeout(context.Background(), 400*time.Millisecond)
		latest := uint64(0)
		if rev, err := node.Revisions().Latest(); err == nil {
			latest = rev.Number
		}
		in := call{read: rng.IntN(2) == 0, base: latest, text: fmt.Sprintf("%d.%d", id, n)}
		began := r.clock.Add(1)
		if in.read {
			in = call{read: true}
			if err := node.Sync(op); err == nil {
				out := answer{}
				if rev, err := node.Revisions().Latest(); err == nil {
					out.latest, out.text = rev.Number, rev.Text
				}
				r.add(id, began, in, out)
			}
		} else {
			rev, err := node.Propose(op, Proposal{Base: in.base, Text: in.text})
			conflict, isConflict := errors.AsType[*ConflictError](err)
			_, isUnknown := errors.AsType[*UnknownOutcomeError](err)
			switch {
			case err == nil:
				r.add(id, began, in, answer{latest: rev.Number})
			case isConflict:
				r.add(id, began, in, answer{refused: true, latest: conflict.Current})
			case isUnknown:
				r.add(id, began, in, answer{unknown: true})
			}
		}
		cancel()
		time.Sleep(time.Duration(rng.IntN(40)) * time.Millisecond)
	}
}

// disturb cuts and heals links until ctx is done.
func disturb(ctx context.Context, l *lan, rng *rand.Rand) {
	for ctx.Err() == nil {
		time.Sleep(time.Duration(100+rng.IntN(500)) * time.Millisecond)
		switch rng.IntN(4) {
		case 0:
			l.isolate(l.nodes[rng.IntN(len(l.nodes))])
		case 1:
			a := rng.IntN(len(l.nodes))
			l.setCut(l.nodes[a], l.nodes[(a+1)%len(l.nodes)], true)
		default:
			l.heal()
		}
	}
	l.heal()
}

func TestProposalsAndReadsAreLinearizableUnderPartitions(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			var r recorder
			synctest.Test(t, func(t *testing.T) {
				l := newLAN(t, 3, nil)
				defer l.close()
				ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
				defer cancel()
				var group sync.WaitGroup
				group.Go(func() { disturb(ctx, l, rand.New(rand.NewPCG(seed, 99))) })
				for i, node := range l.nodes {
					group.Go(func() { r.client(ctx, i, node, rand.New(rand.NewPCG(seed, uint64(i)))) })
				}
				group.Wait()
				// What was acknowledged is still there at the end, everywhere.
				for i, node := range l.nodes {
					began := r.clock.Add(1)
					if err := node.Sync(within(t, 10*time.Second)); err != nil {
						t.Fatal(err)
					}
					rev, err := node.Revisions().Latest()
					if err != nil {
						t.Fatal(err)
					}
					r.add(i, began, call{read: true}, answer{latest: rev.Number, text: rev.Text})
				}
			})
			model := revisionModel.ToModel()
			result, info := porcupine.CheckOperationsVerbose(model, r.ops, 20*time.Second)
			if result != porcupine.Ok {
				path := t.ArtifactDir() + "/history.html"
				if err := porcupine.VisualizePath(model, info, path); err != nil {
					t.Error(err)
				}
				t.Errorf("history of %d operations is %v; see %s", len(r.ops), result, path)
			}
			acknowledged := 0
			for _, op := range r.ops {
				if in, out := op.Input.(call), op.Output.(answer); !in.read && !out.unknown && !out.refused {
					acknowledged++
				}
			}
			if acknowledged < 10 {
				t.Errorf("%d proposals were acknowledged: the test tests nothing", acknowledged)
			}
		})
	}
}
