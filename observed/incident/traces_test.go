package incident

import (
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
)

// decided is a decision about a unit at a time.
func decided(unit string, at time.Time) *splitbrain.Traced {
	return &splitbrain.Traced{Was: []string{unit}, View: splitbrain.View{
		Now: at, Node: "lb01", Unit: &splitbrain.UnitView{Name: unit, State: splitbrain.Backup, AdvertInterval: time.Second}}}
}

func TestDecisionsAroundAnIncidentAreKeptAndBounded(t *testing.T) {
	dir := t.TempDir()
	ring := NewTraces(slog.New(slog.DiscardHandler), dir)
	opened := time.Unix(5000, 0)
	at := func(s int) time.Time { return opened.Add(time.Duration(s) * time.Second) }
	for s := -20; s <= 20; s += 2 {
		ring.Add(decided("VI_1", at(s)))
		ring.Add(decided("VI_2", at(s)))
	}
	p := &Part{Local: "lb01-a-1", Units: []string{"VI_1"}, Opened: opened, Closed: at(7)}
	ring.keep(p)
	// Another life of the daemon reads them.
	got, err := NewTraces(slog.New(slog.DiscardHandler), dir).read("lb01-a-1")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 7 || !got[0].View.Now.Equal(at(-6)) || !got[6].View.Now.Equal(at(6)) {
		t.Errorf("%d decisions kept, want the last one before and those from -4s to 6s", len(got))
	}
	for _, d := range got {
		if d.View.Unit.Name != "VI_1" {
			t.Errorf("a decision about %s is kept", d.View.Unit.Name)
		}
	}

	for i := range keptFiles + 3 {
		ring.keep(&Part{Local: fmt.Sprintf("lb01-b-%d", i), Opened: opened, Closed: at(7)})
	}
	if files, err := os.ReadDir(dir + "/incidents"); err != nil || len(files) != keptFiles {
		t.Errorf("%d files kept, %v; want %d", len(files), err, keptFiles)
	}
	for range 3 * keptTraces {
		ring.Add(decided("VI_1", at(0)))
	}
	if n := len(ring.ring); n > keptTraces {
		t.Errorf("%d decisions in memory, want %d at most", n, keptTraces)
	}
	if got, err := ring.read("lb01-z-1"); err != nil || got != nil {
		t.Errorf("what was never kept = %v, %v; want nothing", got, err)
	}
}
