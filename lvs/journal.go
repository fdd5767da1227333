package lvs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// journal keeps, in a file in the run directory, which entries of the kernel's
// table are ours. A line is written before an entry is made, and one that takes
// it back after it was deleted:
//
//   - tcp 192.0.2.1:80
//   - tcp 192.0.2.1:80 server 10.0.0.1:80
//   - tcp 192.0.2.1:80 server 10.0.0.1:80
//
// with + and - in front. The file is only appended to, so that a torn write
// costs its last line at most, and rewritten in one rename when it holds much
// that is past. Like the table it does not survive a boot: nothing is synced.
type journal struct {
	path  string
	owned Owned
	lines int
	torn  bool // a write failed, so the file must be rewritten before it is appended to
}

// journalSlack is how many lines of the past the file may hold beyond as many
// as count.
const journalSlack = 256

// openJournal reads what is there. The journal is usable even with an error:
// writing is tried again each time.
func openJournal(dir string) (*journal, error) {
	j := &journal{path: filepath.Join(dir, "ipvs"), owned: make(Owned)}
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
	j.owned, j.lines, j.torn, err = parseJournal(f)
	return j, err
}

// parseJournal ignores lines that it does not understand: each line stands for
// itself. A last line without an end is torn.
func parseJournal(r io.Reader) (owned Owned, lines int, torn bool, err error) {
	owned = make(Owned)
	b := bufio.NewReader(r)
	for {
		line, err := b.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return owned, lines, line != "", nil
		}
		if err != nil {
			return owned, lines, true, err
		}
		lines++
		sign, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		e, ok := parseEntry(rest)
		switch {
		case !ok:
		case sign == "+":
			owned[e] = true
		case sign == "-":
			delete(owned, e)
		}
	}
}

// claim notes entries that are ours from now on, and release those that are no
// more. After an error the next call writes all anew.
func (j *journal) claim(entries []Entry) error   { return j.note('+', true, entries) }
func (j *journal) release(entries []Entry) error { return j.note('-', false, entries) }

func (j *journal) note(sign byte, ours bool, entries []Entry) error {
	var b bytes.Buffer
	n := 0
	for _, e := range entries {
		if j.owned[e] == ours {
			continue
		}
		if ours {
			j.owned[e] = true
		} else {
			delete(j.owned, e)
		}
		fmt.Fprintf(&b, "%c %v\n", sign, e)
		n++
	}
	if n == 0 && !j.torn {
		return nil
	}
	var err error
	if j.torn || j.lines+n > 2*len(j.owned)+journalSlack {
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
	for e := range j.owned {
		fmt.Fprintf(&b, "+ %v\n", e)
	}
	tmp := j.path + ".new"
	if err := os.WriteFile(tmp, b.Bytes(), 0o644); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	j.lines = len(j.owned)
	return os.Rename(tmp, j.path)
}
