package override

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/renameio/v2"

	"github.com/hacluster/hacluster/cluster/store"
)

// Kept is what a node last knew, in a file of its data directory.
type Kept struct {
	Cluster string // its id; empty: the node was alone
	State
}

// keptName is the file in the data directory.
const keptName = "weights.json"

// Read reads what the node with this data directory last knew. Without a file that is
// nothing.
func Read(dataDir string) (k Kept, err error) {
	path := filepath.Join(dataDir, keptName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	if err != nil {
		return Kept{}, fmt.Errorf("weights given by hand: read %s: %w", path, err)
	}
	return k, nil
}

func (k Kept) write(dataDir string) error {
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(dataDir, keptName), text, 0o600, renameio.IgnoreUmask())
}

// Follower brings what stands in a cluster to one node.
type Follower struct {
	Log     *slog.Logger
	DataDir string
	Cluster string // its id
	Machine *Machine
	// Bring gives the load balancer all overrides; it must not block.
	Bring func([]Override)
}

// Run brings what stands until ctx is done. While the machine catches up with what
// this node knew before, that counts.
func (f *Follower) Run(ctx context.Context) error {
	kept, err := Read(f.DataDir)
	if err != nil {
		f.Log.Warn("weights given by hand are known only when the cluster answers", "err", err)
	}
	if kept.Cluster != f.Cluster {
		kept = Kept{Cluster: f.Cluster}
	}
	f.Machine.Assume(kept.State)
	for {
		changed := f.Machine.Changed()
		s := f.Machine.State()
		f.Bring(s.Overrides)
		if s.Number > kept.Number {
			kept.State = s
			if err := kept.write(f.DataDir); err != nil {
				f.Log.Warn("weights given by hand are not kept over a restart", "err", err)
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Alone is the state of a node without a cluster.
type Alone struct {
	dataDir string
	bring   func([]Override)

	mu      sync.Mutex // one command after the other
	machine *Machine
}

// NewAlone reads what stands from the data directory, and brings it.
func NewAlone(dataDir string, bring func([]Override)) (*Alone, error) {
	a := &Alone{dataDir: dataDir, bring: bring, machine: NewMachine()}
	kept, err := Read(dataDir)
	if err != nil || kept.Cluster != "" {
		return a, err
	}
	text, err := json.Marshal(kept.State)
	if err == nil {
		err = a.machine.Restore(text)
	}
	bring(kept.Overrides)
	return a, err
}

// State is what stands.
func (a *Alone) State() State { return a.machine.State() }

// Apply carries a command out, as a cluster does. What cannot be kept counts all the
// same, until the daemon ends.
func (a *Alone) Apply(_ context.Context, operation string, cmd store.Command) ([]byte, error) {
	if cmd.Machine != a.machine.Name() {
		return nil, fmt.Errorf("%s: this needs a cluster", operation)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.machine.Apply(cmd); err != nil {
		return nil, err
	}
	s := a.machine.State()
	a.bring(s.Overrides)
	if err := (Kept{State: s}).write(a.dataDir); err != nil {
		return nil, fmt.Errorf("%s: done, but not kept over a restart: %w", operation, err)
	}
	return nil, nil
}
