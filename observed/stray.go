package observed

import (
	"fmt"
	"time"

	"github.com/hacluster/hacluster/internal/netif"
)

// strayShown is for how long the alert about a stray address stands after it
// was last seen.
const strayShown = time.Minute

// strayAddress is the code of the alert about a virtual address that this node
// has without holding it (R12).
const strayAddress = "stray_address"

// Strays makes alerts of the virtual addresses that a node has without holding
// them.
type Strays struct {
	Node string

	seen map[string]time.Time // alert IDs that stand
}

// Found says what was found now, and returns the alerts that this opens and ends.
func (s *Strays) Found(now time.Time, found []netif.Evicted) []Alert {
	if s.seen == nil {
		s.seen = make(map[string]time.Time)
	}
	var out []Alert
	for _, e := range found {
		a := s.alert(e, now)
		if _, known := s.seen[a.ID]; !known {
			out = append(out, a)
		}
		s.seen[a.ID] = now
	}
	for id, at := range s.seen {
		if now.Sub(at) > strayShown {
			delete(s.seen, id)
			out = append(out, Alert{ID: id, Code: strayAddress, Node: s.Node, Resolved: now})
		}
	}
	return out
}

func (s *Strays) alert(e netif.Evicted, now time.Time) Alert {
	a := Alert{
		ID:       fmt.Sprintf("%s/%s/%v/%s", strayAddress, s.Node, e.Addr, e.Interface),
		Code:     strayAddress,
		Severity: Warning,
		Node:     s.Node,
		Summary:  fmt.Sprintf("%v was on %s of %s, which does not hold it; it was removed", e.Addr, e.Interface, s.Node),
		Next:     fmt.Sprintf("find out what added it, and take it out of the network configuration of %s", s.Node),
		Since:    now,
	}
	if e.Kept != "" {
		a.Summary = fmt.Sprintf("%v is on %s of %s, which does not hold it; it was left there: %s", e.Addr, e.Interface, s.Node, e.Kept)
	}
	return a
}
