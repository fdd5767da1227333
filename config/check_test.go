package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
)

var update = flag.Bool("update", false, "rewrite what the files of testdata expect")

// Each file of testdata/check is a document and its findings. A line `nodes: A B`
// in the comment compiles it for a cluster; NAME:ROLE says what a node does.
func TestFindingsOfDocuments(t *testing.T) {
	files, err := filepath.Glob("testdata/check/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			doc := syntax.Parse(ar.Files[0].Name, string(ar.Files[0].Data))
			var findings config.Findings
			if nodes, ok := strings.CutPrefix(strings.SplitN(string(ar.Comment), "\n", 2)[0], "nodes: "); ok {
				_, findings = config.CompileCluster(doc, members(strings.Fields(nodes)))
			} else {
				_, findings = config.Compile(doc, "lb01")
			}
			var got strings.Builder
			for _, f := range findings {
				got.WriteString(f.String() + "\n")
			}
			if *update {
				ar.Files[1].Data = []byte(got.String())
				if err := os.WriteFile(name, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want := string(ar.Files[1].Data); got.String() != want {
				t.Errorf("findings:\n%swant:\n%s", got.String(), want)
			}
		})
	}
}

// members reads names with roles.
func members(words []string) []config.Member {
	out := make([]config.Member, len(words))
	for i, w := range words {
		name, role, _ := strings.Cut(w, ":")
		out[i] = config.Member{Name: name, Role: config.Role(role)}
	}
	return out
}

// users returns the documents of testdata/users with their text.
func users(t *testing.T) map[string]*syntax.Document {
	t.Helper()
	files, err := filepath.Glob("testdata/users/u*.conf")
	if err != nil || len(files) != 9 {
		t.Fatalf("%d documents (%v), want 9", len(files), err)
	}
	out := map[string]*syntax.Document{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(f), ".conf")] = syntax.Parse(filepath.Base(f), string(b))
	}
	return out
}

func TestShapesThatUsersHavePass(t *testing.T) {
	for name, doc := range users(t) {
		t.Run(name, func(t *testing.T) {
			_, findings := config.CompileCluster(doc, config.Members(doc.Nodes()...))
			if err := findings.Err(); err != nil {
				t.Errorf("refused:\n%v", err)
			}
			for _, f := range findings {
				if !strings.Contains(f.Msg, "virtual_server") && !strings.Contains(f.Msg, "nopreempt") &&
					!strings.Contains(f.Msg, "nb_get_retry") {
					t.Errorf("unexpected finding: %v", f)
				}
			}
		})
	}
}
