package splitbrain

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// Bounds of what one record says of fencing: it stands in the first datagram,
// because a word that is missing there is one that was taken back.
const (
	MaxFenceWords = 4
	MaxFenceBytes = 400 // of the names in them
)

// FenceStage is how far the fencing of a node is, in the word of its author.
type FenceStage uint8

// Stages.
const (
	FenceAsks   FenceStage = iota // the author wants to fence, and asks the others
	FenceVotes                    // the author votes that By may, and binds itself to that for a while
	FenceRuns                     // the author's agent runs
	FenceDone                     // it has succeeded: that life of the node is over
	fenceStages                   // how many there are
)

func (s FenceStage) String() string {
	if s < fenceStages {
		return fenceStageNames[s]
	}
	return "invalid"
}

var fenceStageNames = [...]string{"asks", "votes", "runs", "done"}

// FenceWord is what a node says of fencing another one (R11).
type FenceWord struct {
	Unit  string // for whose sake
	Node  string // the target
	Boot  BootID // its life; zero: none was ever heard of
	By    BootID // who fences: the author itself, or for FenceVotes another one
	Stage FenceStage
	// Agrees says, of a vote, that its author has evidence of its own.
	Agrees bool
	Age    time.Duration // since the author says so, at the sending of the record
	// Span is for how long after the author's latest word a vote for it binds: an
	// agent that it started may run that long.
	Span time.Duration
}

// same reports whether two words are about the same act.
func (w *FenceWord) same(o *FenceWord) bool {
	return w.Unit == o.Unit && w.Node == o.Node && w.Boot == o.Boot && w.By == o.By
}

// sameFencing reports whether two records say the same of fencing.
func sameFencing(a, b []FenceWord) bool {
	return slices.EqualFunc(a, b, func(x, y FenceWord) bool {
		x.Age, y.Age = 0, 0
		return x == y
	})
}

// checkFencing refuses what would not fit into a record.
func checkFencing(words []FenceWord) error {
	if len(words) > MaxFenceWords {
		return fmt.Errorf("%d words of fencing; at most %d", len(words), MaxFenceWords)
	}
	n := 0
	for i := range words {
		w := &words[i]
		if len(w.Unit) == 0 || len(w.Unit) > MaxUnitName || len(w.Node) == 0 || len(w.Node) > MaxNode {
			return fmt.Errorf("fencing of %q for unit %q: names of 1 to %d and 1 to %d bytes", w.Node, w.Unit, MaxNode, MaxUnitName)
		}
		n += len(w.Unit) + len(w.Node)
	}
	if n > MaxFenceBytes {
		return fmt.Errorf("fencing with names of %d bytes; at most %d", n, MaxFenceBytes)
	}
	return nil
}

func appendFenceWord(b []byte, w *FenceWord) []byte {
	b = appendString(b, w.Unit)
	b = appendString(b, w.Node)
	b = binary.BigEndian.AppendUint64(b, uint64(w.Boot))
	b = binary.BigEndian.AppendUint64(b, uint64(w.By))
	var agrees byte
	if w.Agrees {
		agrees = 1
	}
	b = append(b, byte(w.Stage), agrees)
	b = appendTime(b, w.Age)
	return appendTime(b, w.Span)
}

func (p *parser) fenceWord() FenceWord {
	w := FenceWord{
		Unit: p.str(MaxUnitName), Node: p.str(MaxNode), Boot: BootID(p.u64()), By: BootID(p.u64()),
		Stage: FenceStage(p.u8()), Agrees: p.u8() != 0, Age: p.time(), Span: p.time(),
	}
	if p.err == nil && w.Stage >= fenceStages {
		p.fail("fencing of %q in stage %d", w.Node, w.Stage)
	}
	return w
}
