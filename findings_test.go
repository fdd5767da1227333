package hacluster

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	findingRow   = regexp.MustCompile(`(?m)^\| (S\d+a?) \|(.*)\|$`)
	findingName  = regexp.MustCompile(`\bS\d+a?\b`)
	backtickTest = regexp.MustCompile("`(Test\\w+)`")
)

// testFindings are the tests of the repository by name, each with the findings that
// its comment or body names.
func testFindings(t *testing.T) map[string][]string {
	t.Helper()
	tests := make(map[string][]string)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "tools" || d.Name() == ".git"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") {
				continue
			}
			from := f.Pos()
			if f.Doc != nil {
				from = f.Doc.Pos()
			}
			said := text[fset.Position(from).Offset:fset.Position(f.End()).Offset]
			names := tests[f.Name.Name]
			for _, name := range findingName.FindAll(said, -1) {
				names = append(names, string(name))
			}
			tests[f.Name.Name] = names
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

func TestEveryFindingOfTheDocumentHasItsTests(t *testing.T) {
	text, err := os.ReadFile("docs/findings.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := testFindings(t)
	rows := findingRow.FindAllStringSubmatch(string(text), -1)
	seen := make(map[string]bool)
	for _, row := range rows {
		id, rest := row[1], row[2]
		if seen[id] {
			t.Errorf("%s stands twice", id)
		}
		seen[id] = true
		named := backtickTest.FindAllStringSubmatch(rest, -1)
		if len(named) == 0 {
			t.Errorf("%s names no test", id)
		}
		for _, n := range named {
			switch findings, ok := tests[n[1]]; {
			case !ok:
				t.Errorf("%s: there is no %s", id, n[1])
			case !slices.Contains(findings, id):
				t.Errorf("%s: %s does not name it in its comment", id, n[1])
			}
		}
	}
	for name, findings := range tests {
		for _, id := range findings {
			if !seen[id] {
				t.Errorf("%s names %s, which the document does not have", name, id)
			}
		}
	}
	if len(rows) < 70 {
		t.Errorf("%d rows were found, want 80 or so: is the table still one?", len(rows))
	}
}
