package journal

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type word string

func (w word) String() string { return string(w) }

func parseWord(s string) (word, bool) { return word(s), s != "" && s != "nonsense" }

func open(t *testing.T, path string) *Journal[word] {
	t.Helper()
	j, err := Open(path, parseWord)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, j *Journal[word], words ...word) {
	t.Helper()
	all := make(map[word]bool)
	for _, w := range words {
		all[w] = true
	}
	if !maps.Equal(j.Set(), all) {
		t.Errorf("set = %v, want %v", j.Set(), all)
	}
}

func TestJournalIsReadAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "things")
	j := open(t, path)
	must(t, j.Add("a", "b", "c"))
	must(t, j.Remove("b"))
	want(t, open(t, path), "a", "c")
}

func TestJournalLosesOnlyATornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "things")
	must(t, os.WriteFile(path, []byte("+ a\n+ nonsense\n+ tor"), 0o644))
	must(t, open(t, path).Add("b"))
	want(t, open(t, path), "a", "b")
}

func TestJournalStaysShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "things")
	j := open(t, path)
	for range 2000 {
		must(t, j.Add("a"))
		must(t, j.Remove("a"))
	}
	b, err := os.ReadFile(path)
	must(t, err)
	if n := strings.Count(string(b), "\n"); n > slack+1 {
		t.Errorf("%d lines for nothing, want at most %d", n, slack+1)
	}
}

func TestJournalWritesAllAnewAfterAFailure(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "things")
	j := open(t, path)
	must(t, os.Mkdir(path, 0o755)) // in its way
	if err := j.Add("a"); err == nil {
		t.Fatal("writing to a directory succeeds")
	}
	must(t, os.Remove(path))
	must(t, j.Add("b"))
	want(t, open(t, path), "a", "b")
}
