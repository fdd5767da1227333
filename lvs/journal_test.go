package lvs

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func entriesOf(owned Owned) []Entry {
	var list []Entry
	for e := range owned {
		list = append(list, e)
	}
	return list
}

func TestJournalIsReadAsItWasWritten(t *testing.T) {
	dir := t.TempDir()
	j, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := ownedBy(service(1, 1, 1), Service{Key: Key{Mark: 5, MarkFamily: IPv6}})
	all[Entry{Sync: SyncBackup}] = true
	if err := j.claim(entriesOf(all)); err != nil {
		t.Fatal(err)
	}
	gone := Entry{Service: web(1), Server: backend(2)}
	if err := j.release([]Entry{gone}); err != nil {
		t.Fatal(err)
	}
	delete(all, gone)
	again, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(again.owned, all) {
		t.Errorf("owned = %v, want %v", texts(entriesOf(again.owned)), texts(entriesOf(all)))
	}
}

func TestJournalLosesOnlyATornLine(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ipvs")
	if err := os.WriteFile(path, []byte("+ tcp 192.0.2.1:80\nnonsense\n+ tcp 192.0.2.2:8"), 0o644); err != nil {
		t.Fatal(err)
	}
	j, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.claim([]Entry{{Service: web(3)}}); err != nil {
		t.Fatal(err)
	}
	again, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := Owned{Entry{Service: web(1)}: true, Entry{Service: web(3)}: true}
	if !maps.Equal(again.owned, want) {
		t.Errorf("owned = %v, want %v", texts(entriesOf(again.owned)), texts(entriesOf(want)))
	}
}

func TestJournalStaysShort(t *testing.T) {
	dir := t.TempDir()
	j, _ := openJournal(dir)
	for range 2000 {
		if err := j.claim([]Entry{{Service: web(1)}}); err != nil {
			t.Fatal(err)
		}
		if err := j.release([]Entry{{Service: web(1)}}); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "ipvs"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "\n"); n > journalSlack+1 {
		t.Errorf("%d lines for nothing, want at most %d", n, journalSlack+1)
	}
}

func FuzzJournal(f *testing.F) {
	f.Add("+ tcp 192.0.2.1:80 server [2001:db8::1]:80\n- udp [::1]:53\n+ fwmark 7 ipv4\n+ sync master\n")
	f.Fuzz(func(t *testing.T, text string) {
		owned, _, _, err := parseJournal(strings.NewReader(text))
		if err != nil {
			t.Fatal(err) // a reader of memory does not fail, whatever the text is
		}
		var b strings.Builder
		for e := range owned {
			b.WriteString("+ " + e.String() + "\n")
		}
		again, _, _, err := parseJournal(strings.NewReader(b.String()))
		if err != nil || !maps.Equal(owned, again) {
			t.Errorf("read again: %v, %s", err, cmp.Diff(texts(entriesOf(owned)), texts(entriesOf(again))))
		}
	})
}
