package e2e

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// F18: the disk of the holder is full, or answers no more. Its address stays,
// nobody else takes it, Raft goes on without it, and people are told.
func TestF18DiskOfTheHolder(t *testing.T) {
	tests := []struct {
		name   string
		ext4   bool
		strike func(*lab.Disk)
		heal   func(*lab.Disk)
	}{
		{"full", false, (*lab.Disk).Fill, (*lab.Disk).Empty},
		{"stalled", true, func(d *lab.Disk) { d.Freeze(time.Minute) }, (*lab.Disk).Thaw},
	}
	for _, tt := range tests {
		story := func(t *testing.T, words string) {
			lan := lab.New(t)
			a, b, c := lan.Node("lb01"), lan.Node("lb02"), lan.Node("lb03")
			watch := lan.Watch(vip)
			da, disk := a.StartMemberOnDisk(lab.Control, tt.ext4)
			db, dc := b.StartMember(lab.Control), c.StartMember(lab.Control)
			lab.Form(t, trioConf(""), da, db, dc)
			for _, d := range []*lab.Daemon{da, db, dc} {
				wantPeers(t, d, 2)
			}
			if words != "" {
				adopt(t, trioConf(words), da, db, dc)
			}
			watch.WantHolder(a, vip, electionTime+3*masterDown(150))
			next := nextRevision(t, db)

			struck := time.Now()
			tt.strike(disk)
			// An edit is what writes to the disk, a long one more than the log has
			// room for already. It goes on without lb01: two of three have it, which
			// is exit status 0 or 4.
			edit := b.WriteFile("edit.conf", trioConf("garp_master_delay 3\n\t"+words)+noise(1<<20))
			lab.Want(t, 25*time.Second, "an edit goes on without lb01's disk", func() (string, bool) {
				r := db.Ctl("config", "apply", edit, "--timeout", "5s")
				return r.String(), r.Exit == 0 || r.Exit == 4
			})
			wantRevision(t, next, db, dc)
			lab.Want(t, 10*time.Second, "lb01 leads no more", func() (string, bool) {
				var st struct {
					Cluster struct {
						Leader string `json:"leader"`
					} `json:"cluster"`
				}
				db.CtlJSON(&st, "status")
				return fmt.Sprint(st), st.Cluster.Leader != "" && st.Cluster.Leader != "lb01"
			})
			wantAlert(t, db, 10*time.Second, "store_failed", "lb01")
			lab.During(2 * time.Second)
			watch.WantHolder(a, vip, time.Second)
			view := watch.Since(struck)
			view.WantNeverTwo(0, vip)
			view.WantDarkAtMost(slack, vip)
			wantReigns(t, view, 4, 51, a)

			tt.heal(disk)
			wantRevision(t, next, da) // as it had, had the disk not failed
			lab.Want(t, 10*time.Second, "the alert ends", func() (string, bool) {
				text := da.MustCtl("alerts", "-o", "json") // the open ones
				return text, !strings.Contains(text, `"code": "store_failed"`)
			})
			watch.WantHolder(a, vip, time.Second)
			watch.Since(struck).WantNeverTwo(0, vip)
		}
		t.Run(tt.name, func(t *testing.T) { eachPolicy(t, story) })
	}
}

// noise is a comment that cannot be compressed.
func noise(size int) string {
	text := make([]byte, size)
	_, _ = rand.Read(text) // never fails
	return "\n# " + hex.EncodeToString(text) + "\n"
}
