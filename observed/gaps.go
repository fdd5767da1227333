package observed

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/rules"
	"github.com/hacluster/hacluster/vrrp"
)

// Guard is what stands between a hung or killed holder of a unit and a second one.
type Guard struct {
	Unit             vrrp.UnitStatus
	Policy           string // mesh, quorum or off
	DownTimerAdverts int    // 0: 3
}

// Gaps says where the guarantee of one holder has a known bound E on this node, a
// sentence for each cause.
func Gaps(guards []Guard) []string {
	worst := make(map[string]time.Duration)
	units := make(map[string][]string)
	var causes []string
	for _, g := range guards {
		cause, e := g.gap()
		if cause == "" {
			continue
		}
		if units[cause] == nil {
			causes = append(causes, cause)
		}
		worst[cause] = max(worst[cause], e)
		units[cause] = append(units[cause], g.Unit.Name)
	}
	for i, cause := range causes {
		text := cause
		switch e := worst[cause]; {
		case e > 0:
			text += fmt.Sprintf(": two may answer for up to %v after a holder hangs", e.Round(10*time.Millisecond))
		case cause != policyOff:
			text += ": a holder that is killed answers until its addresses expire, before another one takes over"
		}
		causes[i] = fewUnits(units[cause]) + ": " + text
	}
	return causes
}

// policyOff is the gap of plain VRRP.
const policyOff = "split_brain policy off: nobody is asked before a take-over, as in plain VRRP"

// gap is why E is not 0 by the gate alone, and what it is; an empty cause: no gap.
func (g *Guard) gap() (cause string, e time.Duration) {
	advert := time.Duration(0)
	for _, i := range g.Unit.Instances {
		advert = max(advert, i.AdvertInterval)
	}
	adverts := g.DownTimerAdverts
	if adverts == 0 {
		adverts = 3
	}
	// A backup waits for so long after the last sign of the holder, at least.
	waits := time.Duration(adverts) * advert
	if g.Policy == "quorum" {
		// The voters grant nobody else the unit before the addresses have expired.
		waits = max(waits, rules.AddressGone)
	}
	switch k := g.Unit.Gate.Lease; {
	case g.Policy == "off":
		return policyOff, 0
	case g.Unit.Gate.Missing != "":
		return "no kernel gate (" + g.Unit.Gate.Missing + ")", max(rules.AddressGone-waits, 0)
	case k == 0:
		return "kernel_lease is off", max(rules.AddressGone-waits, 0)
	case g.Policy != "quorum" && k+k/10+20*time.Millisecond >= waits:
		return fmt.Sprintf("the gate stays open for %v, and %d adverts are waited for", k, adverts), k + k/10 + 20*time.Millisecond - waits
	}
	return "", 0
}

// fewUnits names two units, and counts the rest.
func fewUnits(names []string) string {
	if len(names) <= 2 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", names[0], len(names)-1)
}

// gaps are the known gaps of all nodes, each named once with those that have it.
func (s *Snapshot) gaps() []string {
	var texts []string
	nodes := make(map[string][]string)
	for i := range s.Nodes {
		for _, gap := range s.Nodes[i].Gaps {
			if !slices.Contains(texts, gap) {
				texts = append(texts, gap)
			}
			nodes[gap] = append(nodes[gap], s.Nodes[i].Name)
		}
	}
	for i, gap := range texts {
		texts[i] = strings.Join(nodes[gap], ", ") + ": " + gap
	}
	return texts
}
