package incident

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
)

// Bounds of the decisions that are kept.
const (
	keptTraces  = 1024 // in memory
	tracesOfOne = 100  // of one incident, in the run directory
	keptFiles   = 10
	// tracesBefore is how long before its first sign the decisions of an incident
	// begin.
	tracesBefore = 5 * time.Second
)

// Traces keeps the decisions of this node: the last ones in memory, and those
// around an incident in the run directory, where they outlive the daemon and its
// upgrade, but not the machine's.
type Traces struct {
	log *slog.Logger
	dir string

	mu   sync.Mutex
	ring []*splitbrain.Traced // the newest last; guarded by mu
}

// NewTraces returns traces that keep what outlives the process below runDir.
func NewTraces(log *slog.Logger, runDir string) *Traces {
	return &Traces{log: log, dir: filepath.Join(runDir, "incidents")}
}

// Add takes one decision. It does not block.
func (t *Traces) Add(d *splitbrain.Traced) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.ring) == keptTraces {
		t.ring = append(t.ring[:0], t.ring[keptTraces/2:]...)
	}
	t.ring = append(t.ring, d)
}

// around are the decisions in memory that bear on a part of an incident: the last
// before it about each of its units, and those since.
func (t *Traces) around(p *Part) []*splitbrain.Traced {
	t.mu.Lock()
	ring := slices.Clone(t.ring)
	t.mu.Unlock()
	from := p.Opened.Add(-tracesBefore)
	last := make(map[string]*splitbrain.Traced)
	var out []*splitbrain.Traced
	for _, d := range ring {
		at, unit := d.View.Now, d.View.Unit.Name
		switch {
		case len(p.Units) > 0 && !slices.Contains(p.Units, unit):
		case at.Before(from):
			last[unit] = d
		case p.Closed.IsZero() || at.Before(p.Closed.Add(time.Second)):
			out = append(out, d)
		}
	}
	for _, d := range last {
		out = append(out, d)
	}
	slices.SortStableFunc(out, func(a, b *splitbrain.Traced) int { return a.View.Now.Compare(b.View.Now) })
	// The first of them say how it came about.
	return out[:min(len(out), tracesOfOne)]
}

// keep writes the decisions around a part.
func (t *Traces) keep(p *Part) {
	list := t.around(p)
	if len(list) == 0 {
		return
	}
	if err := t.write(p.Local, list); err != nil {
		t.log.Warn("decisions around an incident are not kept", "incident", p.Local, "err", err)
	}
}

func (t *Traces) write(local string, list []*splitbrain.Traced) error {
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return err
	}
	name := t.file(local)
	if err := os.WriteFile(name+".new", data, 0o600); err != nil {
		return err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return err
	}
	return t.prune()
}

// prune removes the oldest files.
func (t *Traces) prune() error {
	entries, err := os.ReadDir(t.dir)
	if err != nil {
		return err
	}
	type file struct {
		name string
		at   time.Time
	}
	var files []file
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			files = append(files, file{e.Name(), info.ModTime()})
		}
	}
	slices.SortFunc(files, func(a, b file) int { return b.at.Compare(a.at) })
	var errs []error
	for _, f := range files[min(len(files), keptFiles):] {
		errs = append(errs, os.Remove(filepath.Join(t.dir, f.name)))
	}
	return errors.Join(errs...)
}

func (t *Traces) file(local string) string {
	// It names a node, a life and a number, and comes from a record.
	return filepath.Join(t.dir, strings.ReplaceAll(local, string(filepath.Separator), "_")+".json")
}

// read gives what was kept of a part; nothing when nothing was.
func (t *Traces) read(local string) ([]*splitbrain.Traced, error) {
	data, err := os.ReadFile(t.file(local))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []*splitbrain.Traced
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("decisions of %s: %w", local, err)
	}
	return list, nil
}
