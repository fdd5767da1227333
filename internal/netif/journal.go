package netif

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// journal names, in a file under /run, the addresses that this machine has
// because of us. A line is written before the address is added, and one that
// takes it back after it was removed:
//
//   - lease eth0 192.0.2.100/24
//   - lease eth0 192.0.2.100/24
//   - static eth1 10.0.0.1/32 peer 10.0.0.2/32
//
// The file is only appended to, so that a torn write costs its last line at
// most, and rewritten in one rename when it holds much that is past. /run is
// memory: nothing is synced, and nothing survives a boot.
type journal struct {
	path  string
	live  map[journalEntry]bool
	lines int
	torn  bool // a write failed, so the file must be rewritten before it is appended to
}

// journalEntry is one address in the journal.
type journalEntry struct {
	kind   string // lease or static
	iface  string
	prefix netip.Prefix
	peer   netip.Prefix
}

const (
	kindLease  = "lease"
	kindStatic = "static"
)

// journalSlack is how many lines of the past the file may hold beyond as many
// as are live.
const journalSlack = 256

func entryOf(kind string, a Address) journalEntry {
	return journalEntry{kind, a.Interface, a.Prefix, a.Peer}
}

func (e journalEntry) address() Address {
	return Address{Prefix: e.prefix, Interface: e.iface, Peer: e.peer}
}

func (e journalEntry) String() string {
	s := e.kind + " " + e.iface + " " + e.prefix.String()
	if e.peer.IsValid() {
		s += " peer " + e.peer.String()
	}
	return s
}

// openJournal reads what is there. The journal is usable even with an error:
// it is then empty, and writing is tried again each time.
func openJournal(dir string) (*journal, error) {
	j := &journal{path: filepath.Join(dir, "addresses"), live: map[journalEntry]bool{}}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return j, err
	}
	f, err := os.Open(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil
	}
	if err != nil {
		return j, err
	}
	defer f.Close()
	j.live, j.lines, err = parseJournal(f)
	return j, err
}

// parseJournal ignores lines that it does not understand: each line stands for
// itself.
func parseJournal(r io.Reader) (live map[journalEntry]bool, lines int, err error) {
	live = map[journalEntry]bool{}
	s := bufio.NewScanner(r)
	for ; s.Scan(); lines++ {
		sign, rest, _ := strings.Cut(s.Text(), " ")
		e, ok := parseJournalEntry(rest)
		switch {
		case !ok:
		case sign == "+":
			live[e] = true
		case sign == "-":
			delete(live, e)
		}
	}
	return live, lines, s.Err()
}

func parseJournalEntry(s string) (journalEntry, bool) {
	f := strings.Split(s, " ")
	if len(f) != 3 && (len(f) != 5 || f[3] != "peer") {
		return journalEntry{}, false
	}
	e := journalEntry{kind: f[0], iface: f[1]}
	var err, peerErr error
	e.prefix, err = netip.ParsePrefix(f[2])
	if len(f) == 5 {
		e.peer, peerErr = netip.ParsePrefix(f[4])
	}
	ok := err == nil && peerErr == nil && e.iface != "" && (e.kind == kindLease || e.kind == kindStatic)
	return e, ok
}

// add notes addresses that are about to be added.
func (j *journal) add(entries ...journalEntry) error { return j.note("+", true, entries) }

// remove notes addresses that were removed.
func (j *journal) remove(entries ...journalEntry) error { return j.note("-", false, entries) }

func (j *journal) note(sign string, live bool, entries []journalEntry) error {
	var b bytes.Buffer
	n := 0
	for _, e := range entries {
		if j.live[e] == live {
			continue
		}
		if live {
			j.live[e] = true
		} else {
			delete(j.live, e)
		}
		fmt.Fprintf(&b, "%s %s\n", sign, e)
		n++
	}
	if n == 0 {
		return nil
	}
	var err error
	if j.torn || j.lines+n > 2*len(j.live)+journalSlack {
		err = j.rewrite()
	} else {
		err = j.append(b.Bytes(), n)
	}
	j.torn = err != nil
	return err
}

func (j *journal) append(b []byte, lines int) error {
	f, err := os.OpenFile(j.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	j.lines += lines
	return errors.Join(err, f.Close())
}

func (j *journal) rewrite() error {
	var b bytes.Buffer
	for e := range j.live {
		fmt.Fprintf(&b, "+ %s\n", e)
	}
	tmp := j.path + ".new"
	if err := os.WriteFile(tmp, b.Bytes(), 0o644); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	j.lines = len(j.live)
	return os.Rename(tmp, j.path)
}
