package node

import (
	"bytes"
	"fmt"
	"time"

	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/splitbrain"
)

// restartWithin is the time in which a planned restart is over, whatever becomes of
// it: the supervisor waits no longer for this process to hand over.
const restartWithin = 15 * time.Second

// sayRestart tells the others, by the heartbeats, that this process ends on purpose
// and another one goes on (F26). They show it to people, and do nothing else.
func (m *member) sayRestart() {
	m.restarting.Store(time.Now().Add(restartWithin).Unix())
	if a := m.arbiter.get(); a != nil {
		m.tellFacts(a)
	}
}

// restarts notes the planned restarts of the members.
type restarts struct{ facts map[string][]byte } // of each member, as last seen

// note records what has begun or ended since the last view.
func (r *restarts) note(p splitbrain.PeerView, record func(observed.Event)) {
	if r.facts == nil {
		r.facts = make(map[string][]byte)
	}
	for _, m := range p.Members {
		before := r.facts[m.Name]
		if bytes.Equal(before, m.Facts) {
			continue
		}
		r.facts[m.Name] = m.Facts
		was, is := observed.DecodeFacts(before).RestartingUntil, observed.DecodeFacts(m.Facts).RestartingUntil
		switch {
		case is == was:
		case is != 0:
			record(observed.Event{Kind: observed.MemberChanged, To: "restarting", Reason: fmt.Sprintf(
				"%s restarts on purpose, until %s at the latest", m.Name, time.Unix(is, 0).UTC().Format(time.RFC3339))})
		default:
			record(observed.Event{Kind: observed.MemberChanged, From: "restarting", To: "restarted", Reason: m.Name + " is back from a planned restart"})
		}
	}
}
