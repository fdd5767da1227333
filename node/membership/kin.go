package membership

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/google/renameio/v2"

	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/splitbrain"
)

// This file remembers by what the members are told from strangers, so that a node
// that starts while nobody can be heard raises no alert about one of its own.

const (
	// kinName is the file in the data directory.
	kinName = "kin.json"
	// kinEvery is the time between two looks whether it is still true.
	kinEvery = 5 * time.Second
)

// kin are the members of a cluster with what they last said of themselves.
type kin struct {
	Cluster string // its id
	Members map[string]splitbrain.Identity
}

// readKin reads what this node last knew of a cluster; of another one it knows
// nothing.
func readKin(dataDir, clusterID string) (kin, error) {
	k := kin{Cluster: clusterID}
	path := filepath.Join(dataDir, kinName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	read := kin{}
	if err == nil {
		err = json.Unmarshal(text, &read)
	}
	if err != nil {
		return k, fmt.Errorf("addresses of members: read %s: %w", path, err)
	}
	if read.Cluster == clusterID {
		k = read
	}
	return k, nil
}

func (k kin) write(dataDir string) error {
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(dataDir, kinName), text, 0o600, renameio.IgnoreUmask())
}

// with is what is known with what the members say now. Who says nothing is what he
// was, as long as he is a member.
func (k kin) with(members []store.Member, p splitbrain.PeerView) kin {
	next := kin{Cluster: k.Cluster, Members: make(map[string]splitbrain.Identity)}
	for _, m := range members {
		if known, ok := k.Members[m.Name]; ok {
			next.Members[m.Name] = known
		}
	}
	for _, m := range p.Members {
		if len(m.Addrs) > 0 && len(m.MACs) > 0 {
			next.Members[m.Name] = splitbrain.Identity{Addrs: m.Addrs, MACs: m.MACs}
		}
	}
	return next
}

// rememberKin keeps what is known of the members on the disk, until ctx is done.
func (s *Membership) rememberKin(ctx context.Context) error {
	ticker := time.NewTicker(kinEvery)
	defer ticker.Stop()
	for kept := s.before; ; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		next := kept.with(s.o.Cluster.Members(), s.peers())
		if reflect.DeepEqual(next, kept) {
			continue
		}
		if err := next.write(s.o.DataDir); err != nil {
			s.o.Log.Warn("addresses of the members are not kept on disk: after a start without a mesh a member may be taken for a stranger", "err", err)
			continue
		}
		kept = next
	}
}
