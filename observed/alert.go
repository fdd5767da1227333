package observed

import (
	"fmt"
	"strings"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
)

// FromArbiter turns what the arbiter of the named node says into an Alert.
func FromArbiter(node string, a splitbrain.Alert, now time.Time) Alert {
	if a.Kind == splitbrain.SplitBrainResolved {
		a.Kind, a.Resolved = splitbrain.SplitBrain, true // the end of that one, not an alert of its own
	}
	out := Alert{
		ID:       strings.Join([]string{string(a.Kind), node, a.Unit, a.Peer}, "/"),
		Code:     string(a.Kind),
		Severity: severityOf(a.Kind),
		Node:     node,
		Unit:     a.Unit,
		Peer:     a.Peer,
		Summary:  a.Summary,
		Evidence: a.Evidence,
		Next:     a.Remedy,
		Since:    a.Since,
	}
	if a.Resolved {
		out.Resolved = now
	}
	return out
}

func severityOf(kind splitbrain.AlertKind) Severity {
	switch kind {
	case splitbrain.SplitBrain, splitbrain.HandoverFailed, splitbrain.QuorumLost,
		splitbrain.DuplicateAddress, splitbrain.StaleHolder,
		splitbrain.NodeFenced, splitbrain.FenceFailed, splitbrain.FenceWaits:
		return Critical
	default:
		return Warning
	}
}

// FromVerification is the event of a change of holder that was looked at (G4).
func FromVerification(v splitbrain.Verified) Event {
	e := Event{Kind: VerdictChanged, Unit: v.Unit, To: Verified, Time: v.At,
		Reason: fmt.Sprintf("%s answers for it, and nobody else, %v after its first word", v.Holder, v.Took.Round(time.Millisecond))}
	if !v.OK {
		e.To = "not verified"
		e.Reason = fmt.Sprintf("%s announced it; %v later probes show: %v", v.Holder, v.Took.Round(time.Millisecond), v.Seen)
	}
	return e
}
