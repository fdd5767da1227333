package journal

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

// slack is how many lines of the past the file may hold beyond as many as count.
const slack = 256

// Entry names one thing. Its String is one line, which the parser of its journal
// reads as an equal entry.
type Entry interface {
	comparable
	fmt.Stringer
}

// Journal is the set of things that are ours. It belongs to one goroutine.
type Journal[E Entry] struct {
	path  string
	set   map[E]bool
	lines int
	torn  bool // a write failed, or the last line has no end: the file must be rewritten before it is appended to
}

// Open reads the file at path, whose directory is made when it is missing. Lines
// that parse does not know are ignored: each line stands for itself. The journal is
// usable even with an error: writing is tried again each time.
func Open[E Entry](path string, parse func(line string) (E, bool)) (*Journal[E], error) {
	j := &Journal[E]{path: path, set: make(map[E]bool)}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return j, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil
	}
	if err != nil {
		return j, err
	}
	defer f.Close()
	return j, j.read(f, parse)
}

func (j *Journal[E]) read(r io.Reader, parse func(line string) (E, bool)) error {
	b := bufio.NewReader(r)
	for {
		line, err := b.ReadString('\n')
		if err != nil {
			j.torn = line != ""
			if errors.Is(err, io.EOF) {
				return nil
			}
			j.torn = true
			return err
		}
		j.lines++
		sign, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		e, ok := parse(rest)
		switch {
		case !ok:
		case sign == "+":
			j.set[e] = true
		case sign == "-":
			delete(j.set, e)
		}
	}
}

// Set is what is ours now. The caller changes nothing in it; Add and Remove do.
func (j *Journal[E]) Set() map[E]bool { return j.set }

// Add notes things that are about to be made. After an error it holds them all the
// same, and the next call writes all anew.
func (j *Journal[E]) Add(entries ...E) error { return j.note('+', true, entries) }

// Remove notes things that were removed. After an error it is as with Add.
func (j *Journal[E]) Remove(entries ...E) error { return j.note('-', false, entries) }

func (j *Journal[E]) note(sign byte, ours bool, entries []E) error {
	var b bytes.Buffer
	n := 0
	for _, e := range entries {
		if j.set[e] == ours {
			continue
		}
		if ours {
			j.set[e] = true
		} else {
			delete(j.set, e)
		}
		fmt.Fprintf(&b, "%c %v\n", sign, e)
		n++
	}
	if n == 0 && !j.torn {
		return nil
	}
	var err error
	if j.torn || j.lines+n > 2*len(j.set)+slack {
		err = j.rewrite()
	} else {
		err = j.append(b.Bytes(), n)
	}
	j.torn = err != nil
	return err
}

func (j *Journal[E]) append(b []byte, lines int) error {
	f, err := os.OpenFile(j.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	j.lines += lines
	return errors.Join(err, f.Close())
}

func (j *Journal[E]) rewrite() error {
	var b bytes.Buffer
	for e := range j.set {
		fmt.Fprintf(&b, "+ %v\n", e)
	}
	tmp := j.path + ".new"
	if err := os.WriteFile(tmp, b.Bytes(), 0o644); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	j.lines = len(j.set)
	return os.Rename(tmp, j.path)
}
