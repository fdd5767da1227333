//go:build guest

package balance_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hacluster/hacluster/e2e/lab"
)

// notes are what the notify scripts of one director were called with.
type notes struct {
	node   *lab.Node
	script string
	file   string
	read   int // lines that were asked for already
}

func newNotes(n *lab.Node) *notes {
	dir := n.TempDir()
	file := filepath.Join(dir, "notes")
	return &notes{node: n, file: file, script: n.WriteScript("notify", `echo "$*" >>`+file)}
}

// wantNotes waits until the scripts of a director were called with these words, in any
// order, and no others, since the last time.
func (s *site) wantNotes(n *notes, want ...string) {
	s.t.Helper()
	slices.Sort(want)
	lab.Want(s.t, within, fmt.Sprintf("%s: scripts of %s are called with %q", s.now, n.node.Name, want), func() (string, bool) {
		text, err := os.ReadFile(n.file)
		if err != nil && !os.IsNotExist(err) {
			return err.Error(), false
		}
		all := strings.Split(string(text), "\n")
		got := slices.Sorted(slices.Values(all[n.read : len(all)-1]))
		if !slices.Equal(got, want) {
			return fmt.Sprintf("%q", got), false
		}
		n.read = len(all) - 1
		return "", true
	})
}
