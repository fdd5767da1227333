package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/cluster/pki"
	"github.com/hacluster/hacluster/cluster/store"
)

// dataFormat is raised when an older program could misread the data directory.
const dataFormat = 1

// nodeFile says who this node is. It is written last by init and join, so a
// directory without it belongs to a node that is in no cluster, whatever else an
// interrupted command has left there.
type nodeFile struct {
	Format      int
	Program     string // version of haclusterd that wrote it
	Name        string
	ID          string // of this life, NAME#RANDOM
	ClusterID   string
	ClusterName string
	Role        store.Role
	Advertise   netip.AddrPort
}

// dataDir is the daemon's directory, held by a lock.
type dataDir struct {
	path string
	lock *os.File
}

func (d *dataDir) pki() string  { return filepath.Join(d.path, "pki") }
func (d *dataDir) raft() string { return filepath.Join(d.path, "raft") }

// cache is the file of the revision that was last applied.
func (d *dataDir) cache() string { return filepath.Join(d.path, "revision.json") }

// mesh is the copy of what the mesh needs of the replicated state.
func (d *dataDir) mesh() string { return filepath.Join(d.path, "mesh.json") }

// voting is what the node must know of itself as a voter.
func (d *dataDir) voting() string { return filepath.Join(d.path, "voting.json") }

func (d *dataDir) node() string { return filepath.Join(d.path, "node.json") }

// openDataDir makes the directory when it is missing and takes its lock.
func openDataDir(o Options) (*dataDir, error) {
	lock, err := lockDir(o.DataDir, tenant{o.PID, o.Memory}, o.Stale)
	if err != nil {
		return nil, err
	}
	return &dataDir{path: o.DataDir, lock: lock}, nil
}

// lockWait bounds the wait for the remains of this process's predecessor.
const lockWait = 5 * time.Second

// LockDir takes a data directory for this process, until the result is closed, and
// makes it when it is missing. The error is a *RunningError when another daemon has
// it. The pid is what that names: of the process that people end. Open does this
// itself; a daemon without a cluster does it by LockDir.
//
// A holder of the same pid is no other daemon. It is what a process that was killed
// has left: a script that it was about to start, which has a copy of all its files
// until it runs. That is waited for.
func LockDir(path string, pid int) (*os.File, error) { return lockDir(path, tenant{pid: pid}, nil) }

// lockDir is LockDir, for a process that may remember something with others.
func lockDir(path string, self tenant, stale func()) (*os.File, error) {
	if path == "" {
		return nil, errors.New("no data directory: give --data-dir")
	}
	if err := pki.MakeDir(path); err != nil {
		return nil, err
	}
	name := filepath.Join(path, "lock")
	lock, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(lockWait); ; time.Sleep(lockWait / 500) {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		before := readTenant(name)
		if err == nil {
			if stale != nil && before.memory != self.memory {
				stale()
			}
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), lock.Close())
		}
		if before.pid != self.pid || time.Now().After(end) {
			return nil, errors.Join(&RunningError{PID: before.pid, DataDir: path}, lock.Close())
		}
	}
	// It is for those who meet the lock or come next; the lock itself is the kernel's.
	if err := errors.Join(lock.Truncate(0), writeAt(lock, self.String())); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", name, err), lock.Close())
	}
	return lock, nil
}

// tenant is what the file of the lock says of the process that took it last. The zero
// value: nobody has, or it cannot be told.
type tenant struct {
	pid    int
	memory uint64 // Options.Memory
}

func (t tenant) String() string { return fmt.Sprintf("%d %x\n", t.pid, t.memory) }

func readTenant(name string) (t tenant) {
	text, _ := os.ReadFile(name)
	_, _ = fmt.Sscanf(string(text), "%d %x", &t.pid, &t.memory) // as far as it goes
	return t
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// Close gives the lock back.
func (d *dataDir) Close() error { return d.lock.Close() }

// load reads who this node is; ok is false when it is in no cluster. It refuses
// the data of a newer program, and of a node with another name.
func (d *dataDir) load(name string) (node nodeFile, ok bool, err error) {
	data, err := os.ReadFile(d.node())
	if errors.Is(err, fs.ErrNotExist) {
		return nodeFile{}, false, nil
	}
	if err != nil {
		return nodeFile{}, false, err
	}
	if err := json.Unmarshal(data, &node); err != nil {
		return nodeFile{}, false, fmt.Errorf("read %s: %w", d.node(), err)
	}
	switch {
	case node.Format > dataFormat:
		return nodeFile{}, false, fmt.Errorf("data in %s was written by haclusterd %s (format %d); this program knows format %d: upgrade it, or give another --data-dir",
			d.path, node.Program, node.Format, dataFormat)
	case node.Name != name:
		return nodeFile{}, false, fmt.Errorf("data in %s belongs to node %s, this one is %s: start with --name %s, or give another --data-dir",
			d.path, node.Name, name, node.Name)
	}
	return node, true, nil
}

func (d *dataDir) save(node nodeFile) error {
	node.Format = dataFormat
	data, err := json.MarshalIndent(node, "", "  ")
	if err != nil {
		return err
	}
	return pki.WriteFile(d.node(), append(data, '\n'))
}

// clear makes the node one that is in no cluster. The file that says otherwise
// goes first: whatever interrupts the rest, the next start finds no member.
func (d *dataDir) clear() error {
	if err := os.Remove(d.node()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(pki.Remove(d.pki()), os.RemoveAll(d.pki()), os.RemoveAll(d.raft()), os.RemoveAll(d.cache()), os.RemoveAll(d.mesh()), os.RemoveAll(d.voting()))
}

// stat says whether the node is in a cluster, by its file.
func (d *dataDir) stat() (os.FileInfo, error) { return os.Stat(d.node()) }
