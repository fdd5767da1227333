package scenario

import (
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// links are faults of cables and gateways, F12 to F14, and the hand-over on
// purpose.
func links() []Scenario {
	return []Scenario{{
		ID: "F12", Title: "link of the holder down", Core: true,
		Fault: func(w *World) { w.Nodes[0].CutLink(lab.Service) },
		Lasts: 5 * time.Second,
		Heal:  func(w *World) { w.Nodes[0].RestoreLink(lab.Service) }, After: 7 * time.Second,
		Promise: Beside(Both(Promise{Dark: 100*time.Millisecond + Slack, Holder: 1, Returned: Any, Moves: 2, Verdict: Safe})),
	}, {
		ID: "F12", Title: "link of the holder flaps",
		Fault: func(w *World) {
			for range 8 {
				w.Nodes[0].CutLink(lab.Service)
				lab.During(300 * time.Millisecond)
				w.Nodes[0].RestoreLink(lab.Service)
				lab.During(700 * time.Millisecond)
			}
		},
		Promise: Both(Promise{Dark: 100*time.Millisecond + Slack, Holder: 1, Moves: 1, Verdict: Safe}),
	}, {
		ID: "R4", Title: "planned hand-over", Core: true,
		Fault:   func(w *World) { w.Daemons[1].MustCtl("handover", "VI_1", "--to", w.Nodes[1].Name) },
		Lasts:   3 * time.Second,
		Promise: Both(Promise{Dark: 20*time.Millisecond + Slack, Holder: 1, Moves: 1, Verdict: Safe}),
	}, {
		ID: "F13", Title: "gateway unreachable for the holder only",
		Shape: Shape{Gateway: true},
		Fault: func(w *World) { w.LAN.Part(w.Nodes[:1], []*lab.Node{w.Gateway}, lab.Service) },
		Lasts: 10 * time.Second,
		Heal:  heal, After: 4 * time.Second, // it is in rank again after 10 s of answers
		Promise: Both(Promise{Dark: Slack, Holder: 1, Returned: 1, Moves: 1, Verdict: Safe}),
	}, {
		ID: "F14", Title: "gateway dead for all",
		Shape: Shape{Gateway: true},
		Fault: func(w *World) { w.Gateway.CutLink(lab.Service) },
		Lasts: 10 * time.Second,
		Heal:  func(w *World) { w.Gateway.RestoreLink(lab.Service) }, After: 3 * time.Second,
		Promise: Both(Promise{Dark: Slack, Verdict: AtRisk, Because: "the data path of lb01 is lost"}),
	}}
}
