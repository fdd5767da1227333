package scenario

import (
	"runtime"
	"strings"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// endurance are rows of minutes, in which nothing may happen.
func endurance() []Scenario {
	return []Scenario{{
		ID: "Loss", Title: "of 20 % of all frames for 5 min, processors 3 times oversubscribed", Long: true,
		Fault: func(w *World) {
			for _, a := range w.Everybody() {
				for _, b := range w.Everybody() {
					if a != b {
						w.LAN.Lose(20, a, b, lab.Service, lab.Control)
					}
				}
			}
			w.Nodes[0].Burn(3 * runtime.NumCPU())
		},
		Lasts:   5 * time.Minute,
		Check:   wantNoTransition,
		Promise: Both(nothingMoves()),
	}}
}

// wantNoTransition fails the story when a daemon has taken over or let go since
// the fault began, a lost lease among it, for however short a time.
func wantNoTransition(w *World) {
	w.T.Helper()
	for _, d := range w.Daemons {
		for _, line := range d.Lines() {
			if line.At.After(w.Struck) && strings.Contains(line.Text, `msg="state changed"`) {
				w.T.Errorf("%s: %s", d.Name, line.Text)
			}
		}
	}
}
