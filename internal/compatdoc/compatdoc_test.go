package main

import (
	"os"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/config"
)

func TestCommittedDocumentIsCurrent(t *testing.T) {
	got, err := os.ReadFile("../../docs/compat.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != document() {
		t.Error("docs/compat.md is not what the keyword table and differences.md make; run make generate")
	}
}

func TestEveryWordHasOneRow(t *testing.T) {
	rows := 0
	for line := range strings.Lines(document()) {
		if strings.HasPrefix(line, "| `") && strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") == 5 {
			rows++
		}
	}
	if want := len(config.Keywords()); rows != want {
		t.Errorf("the document has %d rows of four cells, want %d", rows, want)
	}
}

func TestNotesAndTitlesAreOfWordsThatExist(t *testing.T) {
	words, blocks := make(map[string]bool), make(map[string]bool)
	for _, k := range config.Keywords() {
		words[k.Block+" "+k.Word], blocks[k.Block] = true, true
	}
	for name := range notes {
		if !words[name] {
			t.Errorf("a note is about %q, which is not in the table", name)
		}
	}
	for block := range titles {
		if !blocks[block] {
			t.Errorf("a title is about block %q, which is not in the table", block)
		}
	}
}

func TestOutcomesAreOneOfThree(t *testing.T) {
	for _, k := range config.Keywords() {
		switch k.Status {
		case config.StatusImplemented, config.StatusIgnored, config.StatusUnsupported:
		default:
			t.Errorf("%s in %s has status %q, which the document does not explain", k.Word, k.Block, k.Status)
		}
	}
}
