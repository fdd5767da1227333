package splitbrain

import (
	"math"
	"net/netip"
	"time"
)

// Bounds of what is remembered of one address.
const (
	maxOutstanding = 16
	maxAnswerers   = 8
	creditFor      = time.Second // an answer that comes later answers nothing
)

// target is one address that is probed on one network.
type target struct {
	addr netip.Addr
	used bool
	unit *ownUnit // that it is an address of; nil: of none

	echo        Echo
	outstanding []time.Time // probes since the last answer, oldest first
	more        int         // of these, how many are not listed
	answers     []answerer
}

// answerer is one hardware address that answered for the address or announced
// it.
type answerer struct {
	mac         MAC
	first, last time.Time
	probes      int // how often
}

// ask notes a probe.
func (t *target) ask(now time.Time) {
	t.echo.Asked = now
	if len(t.outstanding) == maxOutstanding {
		// The first stays: it is when the silence began.
		copy(t.outstanding[1:], t.outstanding[2:])
		t.outstanding = t.outstanding[:maxOutstanding-1]
		t.more++
	}
	t.outstanding = append(t.outstanding, now)
}

// unask takes the latest probe back: it was not sent.
func (t *target) unask() {
	if n := len(t.outstanding); n > 0 {
		t.outstanding = t.outstanding[:n-1]
	}
}

// unanswered forgets what was asked: nobody but this node is to answer any more.
func (t *target) unanswered() { t.outstanding, t.more = t.outstanding[:0], 0 }

// answer notes an answer, and returns how many probes before it were lost; ok
// says that it answers a probe of ours. It is taken for the answer to the
// oldest probe that it may answer, so that it never proves more than it does.
func (t *target) answer(s Sighting) (lost int, ok bool) {
	t.note(s)
	for i, at := range t.outstanding {
		if s.At.Sub(at) > creditFor || s.At.Before(at) {
			continue
		}
		t.echo.Answered, t.echo.Began = s.At, at
		lost, ok = i+t.more, true
		break
	}
	if ok {
		t.unanswered()
	}
	return lost, ok
}

func (t *target) note(s Sighting) {
	for i := range t.answers {
		if a := &t.answers[i]; a.mac == s.MAC {
			if s.At.Sub(a.last) > rememberAnswers {
				a.first, a.probes = s.At, 0
			}
			a.last = s.At
			a.probes++
			return
		}
	}
	if len(t.answers) == maxAnswerers {
		oldest := 0
		for i, a := range t.answers {
			if a.last.Before(t.answers[oldest].last) {
				oldest = i
			}
		}
		t.answers[oldest] = t.answers[len(t.answers)-1]
		t.answers = t.answers[:len(t.answers)-1]
	}
	t.answers = append(t.answers, answerer{mac: s.MAC, first: s.At, last: s.At, probes: 1})
}

// at is the echo as of now: probes whose time is not over are no silence yet.
func (t *target) at(now time.Time) Echo {
	e := t.echo
	for i, asked := range t.outstanding {
		if now.Sub(asked) < answerTime {
			break
		}
		if e.Silent++; i == 0 {
			e.SilentSince = asked
			e.Silent += t.more
		}
	}
	return e
}

// counted follows the share of lost probes with a weight of a sixteenth for
// each probe.
func (n *network) counted(lost int) {
	if lost > maxLost {
		return // it was away
	}
	for range lost {
		n.lost += (1 - n.lost) / 16
	}
	n.lost -= n.lost / 16
}

// maxLost is how many probes in a row a network may lose by chance.
const maxLost = 4

// proof is how many probes in a row must go unanswered so that chance does that
// once in a hundred thousand times.
func (n *network) proof() int {
	if n.lost <= 0.02 {
		return 3
	}
	return min(max(3, int(math.Ceil(math.Log(1e-5)/math.Log(n.lost)))), maxProof)
}
