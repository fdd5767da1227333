package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hacluster/hacluster/config/syntax"
)

// ImportSource is the keepalived.conf of one machine.
type ImportSource struct {
	File  string // for positions
	Text  string
	Files syntax.Opener // for its include lines; nil: it may have none
}

// ImportReport says how alike the files were.
type ImportReport struct {
	Shared    int            // lines that all nodes have, comments and blank lines not counted
	Own       map[string]int // lines that not all nodes have, by node
	Findings  Findings       // of the files; no errors
	Rewritten []string       // nodes whose file was written anew, without comments: it used include or definitions over several lines
}

// Import makes one cluster document of the files of several machines: lines that
// all have stand once, others get @NODE. It then proves that Render gives each
// node the statements and the typed configuration that its file had, and that
// importing the rendered files again gives the same document. Files that do not
// compile are refused.
func Import(files map[string]ImportSource) (string, ImportReport, error) {
	report := ImportReport{Own: map[string]int{}}
	if len(files) == 0 {
		return "", report, &EditError{Msg: "no file to import"}
	}
	nodes := slices.Sorted(maps.Keys(files))
	texts := make(map[string]string, len(nodes))
	trees := make(map[string]string, len(nodes))
	configs := make(map[string]*Config, len(nodes))
	for _, node := range nodes {
		src := files[node]
		doc := syntax.Parse(src.File, src.Text)
		cfg, findings := CompileWith(doc, Options{Node: node, Files: src.Files})
		for _, f := range findings {
			f.Node = node
			report.Findings = append(report.Findings, f)
		}
		tree, _ := doc.Expand(syntax.Options{Node: node, Files: src.Files})
		trees[node], configs[node] = syntax.Print(tree), cfg
		if whole(doc) {
			if text, ok := renderLines(doc, nil, node); ok {
				texts[node] = text
				continue
			}
		}
		texts[node] = trees[node]
		report.Rewritten = append(report.Rewritten, node)
	}
	if err := report.Findings.Err(); err != nil {
		return "", report, err
	}
	text, err := settled(nodes, texts)
	if err != nil {
		return "", report, err
	}
	if err := proveImport(text, nodes, trees, configs); err != nil {
		return "", report, err
	}
	count(&report, text, nodes)
	return text, report, nil
}

// whole reports whether the lines of a file can be taken as they are: nothing
// outside the file, and no definition over several lines.
func whole(doc *syntax.Document) bool {
	for _, l := range doc.Lines {
		if l.Continues || strings.HasPrefix(l.Body(), "include") {
			return false
		}
	}
	return true
}

// settled merges until merging what the result gives each node changes nothing.
func settled(nodes []string, texts map[string]string) (string, error) {
	text := merge(nodes, texts)
	for range 4 {
		doc := syntax.Parse("", text)
		again := make(map[string]string, len(nodes))
		for _, n := range nodes {
			s, ok := renderLines(doc, nil, n)
			if !ok {
				return "", &EditError{Msg: "the merged document cannot be split again for " + n}
			}
			again[n] = s
		}
		next := merge(nodes, again)
		if next == text {
			return text, nil
		}
		text = next
	}
	return "", &EditError{Msg: "the files have no stable common form; import them one at a time"}
}

// mergedLine is a line and the nodes that have it.
type mergedLine struct {
	text  string
	nodes []string
}

// merge makes one text of several, line by line.
func merge(nodes []string, texts map[string]string) string {
	var merged []mergedLine
	for _, node := range nodes {
		merged = mergeNode(merged, node, texts[node])
	}
	var b strings.Builder
	for _, l := range merged {
		for _, cond := range conditions(l, nodes) {
			if cond == "" {
				b.WriteString(l.text + "\n")
				continue
			}
			n := skipIndent(l.text)
			b.WriteString(l.text[:n] + cond + " " + l.text[n:] + "\n")
		}
	}
	return b.String()
}

// mergeNode adds the lines of one node.
func mergeNode(merged []mergedLine, node, text string) []mergedLine {
	var lines []string
	for l := range strings.Lines(text) {
		lines = append(lines, strings.TrimRight(l, " \t\r\n"))
	}
	old := make([]string, len(merged))
	for i, l := range merged {
		old[i] = strings.TrimSpace(l.text)
	}
	fresh := make([]string, len(lines))
	for i, l := range lines {
		fresh[i] = strings.TrimSpace(l)
	}
	var out []mergedLine
	io, in := 0, 0
	flush := func(toOld, toNew int) {
		out = append(out, merged[io:toOld]...)
		for _, l := range lines[in:toNew] {
			out = append(out, mergedLine{text: l, nodes: []string{node}})
		}
		io, in = toOld, toNew
	}
	for _, p := range match(old, fresh) {
		flush(p[0], p[1])
		l := merged[p[0]]
		l.nodes = append(slices.Clone(l.nodes), node)
		out = append(out, l)
		io, in = p[0]+1, p[1]+1
	}
	flush(len(merged), len(lines))
	return out
}

// conditions returns what must stand before a line: nothing, one condition, or
// one for each node that has the line. Comments need none.
func conditions(l mergedLine, nodes []string) []string {
	src := syntax.Parse("", l.text)
	switch {
	case len(l.nodes) == len(nodes) || len(src.Lines) == 0 || src.Lines[0].Body() == "":
		return []string{""}
	case len(l.nodes) == len(nodes)-1 && len(nodes) > 2:
		for _, n := range nodes {
			if !slices.Contains(l.nodes, n) {
				return []string{"@^" + n}
			}
		}
	}
	var out []string
	for _, n := range l.nodes {
		out = append(out, "@"+n)
	}
	return out
}

// proveImport compares what the document gives each node with its file.
func proveImport(text string, nodes []string, trees map[string]string, configs map[string]*Config) error {
	doc := syntax.Parse("", text)
	for _, n := range nodes {
		rendered, err := Render(doc, n)
		if err != nil {
			return fmt.Errorf("import: render for %s: %w", n, err)
		}
		plain := syntax.Parse("", rendered)
		tree, errs := plain.Expand(syntax.Options{Node: n})
		// Render leaves hacluster's own blocks out; the files may have them.
		cfg, _ := Compile(doc, n)
		own, _ := doc.Expand(syntax.Options{Node: n})
		if len(errs) > 0 || syntax.Print(tree) != syntax.Print(withoutOwn(own)) || syntax.Print(own) != trees[n] || !Equal(cfg, configs[n]) {
			return &EditError{Msg: "the merged document does not give " + n + " what its file had; import it by hand"}
		}
	}
	return nil
}

// count fills in how alike the nodes are.
func count(r *ImportReport, text string, nodes []string) {
	for _, l := range syntax.Parse("", text).Lines {
		if l.Body() == "" {
			continue
		}
		if l.Cond.IsZero() {
			r.Shared++
			continue
		}
		for _, n := range nodes {
			if l.Cond.Holds(n) {
				r.Own[n]++
			}
		}
	}
}
