package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// F19: the wall clocks of two nodes are stepped by hours, forth and back, while
// they run. Nothing moves, edits go on, and a holder that dies meanwhile is
// followed in time.
func TestF19WallClocksSteppedByHours(t *testing.T) {
	t.Parallel()
	binary := lab.BuildSteppable(t)
	eachPolicy(t, func(t *testing.T, words string) { wallClocksStepped(t, binary, words) })
}

func wallClocksStepped(t *testing.T, binary, words string) {
	lan := lab.New(t)
	a, b, c := lan.Node("lb01"), lan.Node("lb02"), lan.Node("lb03")
	watch := lan.Watch(vip)
	da, stepA := a.StartSteppable(binary, lab.Control)
	db, stepB := b.StartSteppable(binary, lab.Control)
	dc := c.StartMember(lab.Control)
	lab.Form(t, trioConf(""), da, db, dc)
	for _, d := range []*lab.Daemon{da, db, dc} {
		wantPeers(t, d, 2)
	}
	if words != "" {
		adopt(t, trioConf(words), da, db, dc)
	}
	watch.WantHolder(a, vip, electionTime+3*masterDown(150))
	begin := reigning(watch, a, 4, 51)

	for _, hours := range []time.Duration{6, -6, 0} {
		stepA(hours * time.Hour)
		lab.During(2 * time.Second)
		stepB(-hours * time.Hour)
		lab.During(3 * time.Second)
		if hours > 0 {
			lab.Want(t, 10*time.Second, "doctor finds that the clocks differ", func() (string, bool) {
				text := dc.Ctl("doctor").Stdout
				return text, strings.Contains(text, "6h0m0s")
			})
		}
	}
	stepA(-6 * time.Hour)
	stepB(6 * time.Hour)
	next := nextRevision(t, db)
	edit := b.WriteFile("edit.conf", trioConf("garp_master_delay 3\n\t"+words))
	db.MustCtl("config", "apply", edit, "--yes")
	wantRevision(t, next, da, db, dc)
	view := watch.Since(begin)
	view.WantNeverTwo(0, vip)
	view.WantDarkAtMost(slack, vip)
	wantReigns(t, view, 4, 51, a)

	killed := time.Now()
	da.KillAll()
	watch.WantHolder(b, vip, masterDown(120)+time.Second)
	watch.Since(killed).WantNeverTwo(0, vip)
	watch.Since(killed).WantDarkAtMost(masterDown(120)+slack, vip)
}
