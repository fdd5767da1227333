package syntax_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/config/syntax"
)

// write makes files in a directory of their own.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// read expands main.conf of a directory with the files of this machine.
func read(t *testing.T, dir string) (string, []*syntax.Error) {
	t.Helper()
	doc, err := syntax.ReadFile(filepath.Join(dir, "main.conf"))
	if err != nil {
		t.Fatal(err)
	}
	nodes, errs := doc.Expand(syntax.Options{Node: "n", Files: syntax.OSFiles{}})
	return syntax.Print(nodes), errs
}

func TestIncludeReadsFilesRelativeToTheIncludingOne(t *testing.T) {
	dir := write(t, map[string]string{
		"main.conf":       "$X=1\na {\n    include sub/*.conf\n}\ninclude none/*.conf\nincluder \"{p,q}.conf\"\n",
		"sub/1.conf":      "one $X\ninclude deep/x.conf\n",
		"sub/2.conf":      "two\n@other three\n",
		"sub/deep/x.conf": "pwd ${_PWD}\n",
		"p.conf":          "p\n",
		"q.conf":          "q\n",
	})
	got, errs := read(t, dir)
	if len(errs) > 0 {
		t.Fatal(errs[0])
	}
	want := "a {\n    one 1\n    pwd " + dir + "/sub/deep\n    two\n}\np\nq\n"
	if got != want {
		t.Errorf("tree:\n%s\nwant:\n%s", got, want)
	}
}

func TestIncludeIsBounded(t *testing.T) {
	dir := write(t, map[string]string{"main.conf": "include main.conf\n"})
	if _, errs := read(t, dir); len(errs) == 0 || !strings.Contains(errs[0].Msg, "include each other more than 32 deep") {
		t.Errorf("mistakes %v", errs)
	}
	dir = write(t, map[string]string{"main.conf": "include main.*\ninclude main.*\n"})
	if _, errs := read(t, dir); len(errs) == 0 {
		t.Error("a file that includes itself twice is taken")
	}
	dir = write(t, map[string]string{"main.conf": "include sub\n", "sub/x": ""})
	if _, errs := read(t, dir); len(errs) != 1 || !strings.Contains(errs[0].Msg, "not a regular file") {
		t.Errorf("mistakes %v, want one about the directory", errs)
	}
}

func TestWordsKnowWhereTheyStand(t *testing.T) {
	text := "a {\n@n  b  \"c d\" # x\n$M= \\\n    e \\\n  f ${V} g\n$V=1\n $M\n ~SEQ(I,1,1) h $I\n  k ${V}2 l\n}\n"
	nodes, errs := syntax.Parse("f", text).Expand(syntax.Options{Node: "n"})
	if len(errs) > 0 {
		t.Fatal(errs[0])
	}
	var got []string
	for _, n := range nodes[0].Children {
		for _, tok := range n.Tokens() {
			s := tok.Text + " " + tok.Pos.String()
			if tok.Derived {
				s += " derived"
			}
			got = append(got, s)
		}
	}
	want := []string{
		"b f:2:5", "c d f:2:8",
		"e f:4:5 derived",
		"f f:5:3 derived", "1 f:5:5 derived", "g f:5:10 derived",
		"h f:8:14 derived", "1 f:8:16 derived",
		"k f:9:3", "12 f:9:5 derived", "l f:9:11",
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("words:\n%s\nwant:\n%s", g, w)
	}
	if p := nodes[0].End.String(); p != "f:10:1" {
		t.Errorf("End = %s, want f:10:1", p)
	}
}

func TestLinesKeepTheSource(t *testing.T) {
	text := "! c\n\t@^lb02 priority 1 # why\n$A= \\\n x\n\"a # b\" c\n"
	doc := syntax.Parse("f", text)
	if got := doc.Text(); got != text {
		t.Errorf("Text = %q, want %q", got, text)
	}
	l := doc.Lines[1]
	if l.Cond != (syntax.Cond{Node: "lb02", Not: true}) || l.Body() != "priority 1" || l.Text[l.Comment:] != "# why" {
		t.Errorf("line %+v", l)
	}
	if l := doc.Lines[3]; !l.Continues || l.Defines != "A" {
		t.Errorf("line %+v, want it to continue A", l)
	}
	if l := doc.Lines[4]; l.Comment != len(l.Text) {
		t.Errorf("line %+v, want no comment within quotes", l)
	}
}
