package observed

import (
	"bytes"
	"fmt"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
)

// Restarts notes the planned restarts of the members (F26). Its zero value has
// seen none.
type Restarts struct{ facts map[string][]byte } // of each member, as last seen

// Note records what has begun or ended since it was called last.
func (r *Restarts) Note(p splitbrain.PeerView, record func(Event)) {
	if r.facts == nil {
		r.facts = make(map[string][]byte)
	}
	for _, m := range p.Members {
		before := r.facts[m.Name]
		if bytes.Equal(before, m.Facts) {
			continue
		}
		r.facts[m.Name] = m.Facts
		was, is := DecodeFacts(before).RestartingUntil, DecodeFacts(m.Facts).RestartingUntil
		switch {
		case is == was:
		case is != 0:
			record(Event{Kind: MemberChanged, To: "restarting", Reason: fmt.Sprintf(
				"%s restarts on purpose, until %s at the latest", m.Name, time.Unix(is, 0).UTC().Format(time.RFC3339))})
		default:
			record(Event{Kind: MemberChanged, From: "restarting", To: "restarted", Reason: m.Name + " is back from a planned restart"})
		}
	}
}
