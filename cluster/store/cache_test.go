package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCacheIsWholeOrRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revision.json")
	if _, err := LoadCache(path, "id"); !errors.Is(err, ErrNoRevision) {
		t.Errorf("LoadCache without a file = %v, want ErrNoRevision", err)
	}
	rev := Revision{Number: 7, Base: 6, Hash: HashText("text\n"), Author: "ann", Message: "why", Time: day1, RequestID: "r", Text: "text\n"}
	if err := SaveCache(path, "id", rev); err != nil {
		t.Fatal(err)
	}
	got, err := LoadCache(path, "id")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rev, got); diff != "" {
		t.Error(diff)
	}
	if _, err := LoadCache(path, "other"); !isCorrupt(err) {
		t.Errorf("LoadCache for another cluster = %v", err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		for _, damaged := range [][]byte{good[:i], append(append(bytes.Clone(good[:i]), good[i]^1), good[i+1:]...)} {
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := LoadCache(path, "id")
			if err == nil && !cmp.Equal(rev, got) {
				t.Fatalf("damage at octet %d was not noticed: %+v", i, got)
			}
			if err != nil && !isCorrupt(err) {
				t.Fatalf("damage at octet %d = %v, want a CorruptCacheError", i, err)
			}
		}
	}
}

func isCorrupt(err error) bool {
	_, ok := errors.AsType[*CorruptCacheError](err)
	return ok
}
