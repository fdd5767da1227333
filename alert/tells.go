package alert

import (
	"strconv"
	"strings"

	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/observed/disarm"
	"github.com/hacluster/hacluster/splitbrain"
)

// ToldBy reports whether a node tells people of an alert; forAll says that it
// speaks for all nodes. What every node raises alike, only such a one tells, and what
// all directors raise alike, the one that it names. A split brain is told as an
// incident. All else is what a node sees for itself.
func ToldBy(a observed.Alert, node string, forAll bool) bool {
	name, isIncident := strings.CutPrefix(a.ID, observed.IncidentAlert)
	switch {
	case isIncident:
		// Only who leads raises it. Its end is raised where it stood, too.
		_, err := strconv.Atoi(name)
		return a.Resolved.IsZero() || err != nil || forAll
	case a.Code == string(splitbrain.SplitBrain):
		return false
	case a.Code == disarm.AlertCode:
		return forAll
	case a.Code == observed.PartialFailureCode:
		return a.Node == node
	}
	return true
}
