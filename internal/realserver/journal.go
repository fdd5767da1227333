package realserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// The files in the directory of state.
const (
	journalName = "realserver.json"
	lockName    = "realserver.lock"
)

// journal is what was done and what was before. It is written before the kernel is
// changed.
type journal struct {
	// Boot is the boot of the kernel that the rest was done to; in another one all
	// but the addresses is past.
	Boot      string    `json:"boot"`
	Addresses []address `json:"addresses"`
	Settings  []Setting `json:"settings"`
	// Links were down before.
	Links []string `json:"links"`
}

// address is one that shall be there.
type address struct {
	Addr   netip.Addr `json:"addr"`
	Device string     `json:"device"`
	// Done is whether it was brought up in this boot, and Found whether it was there
	// before that: then it is not ours to remove.
	Done  bool `json:"done"`
	Found bool `json:"found"`
}

// Setting is a setting of the kernel that was changed.
type Setting struct {
	// Name is its path below /proc/sys.
	Name   string `json:"name"`
	Former string `json:"former"`
	Value  string `json:"value"`
}

// path is the journal's file.
func (m *Machine) path() string { return filepath.Join(m.dir, journalName) }

// load reads the journal, for the boot that runs.
func (m *Machine) load() error {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return err
	}
	m.journal = journal{}
	text, err := os.ReadFile(m.path())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		if err := json.Unmarshal(text, &m.journal); err != nil {
			return fmt.Errorf("%s is no journal of real server addresses: %w", m.path(), err)
		}
	}
	if now := strings.TrimSpace(string(boot)); m.journal.Boot != now {
		m.journal.begin(now)
	}
	return nil
}

// begin makes it the journal of a new boot, in which nothing is done yet.
func (j *journal) begin(boot string) {
	j.Boot, j.Settings, j.Links = boot, nil, nil
	for i := range j.Addresses {
		j.Addresses[i].Done, j.Addresses[i].Found = false, false
	}
}

// save writes the journal so that it outlives a loss of power, and removes it when
// nothing stands in it.
func (m *Machine) save() error {
	j := &m.journal
	if len(j.Addresses)+len(j.Settings)+len(j.Links) == 0 {
		if err := os.Remove(m.path()); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	text, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return err
	}
	return renameio.WriteFile(m.path(), append(text, '\n'), 0o600)
}

// lock keeps other processes out until the file is closed, or says after a while
// that it cannot.
func lock(dir string, wait time.Duration) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(wait); ; time.Sleep(20 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(end) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
	}
}
