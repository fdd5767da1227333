package config_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
)

// everyWord is a document with all words of virtual servers. What keepalived
// 2.2.7 does not know, or nags about, lb02 has not.
func everyWord(t *testing.T) *syntax.Document {
	t.Helper()
	text, err := os.ReadFile("testdata/services/every_word.conf")
	if err != nil {
		t.Fatal(err)
	}
	return syntax.Parse("every_word.conf", string(text))
}

func TestEveryWordOfVirtualServersIsTried(t *testing.T) {
	nodes, _ := everyWord(t).Expand(syntax.Options{Node: "lb01"})
	seen := map[string]bool{}
	var walk func(nodes []*syntax.Node)
	walk = func(nodes []*syntax.Node) {
		for _, n := range nodes {
			seen[n.Word.Text] = true
			walk(n.Children)
		}
	}
	walk(nodes)
	for _, k := range config.Keywords() {
		if k.Status == config.StatusImplemented && ofVirtualServers(k) && !seen[k.Word] {
			t.Errorf("%s of %s stands nowhere in the document", k.Word, k.Block)
		}
	}
	_, findings := config.Compile(everyWord(t), "lb01")
	for _, f := range findings {
		if !strings.Contains(f.Msg, "nb_get_retry is an old name") {
			t.Errorf("unexpected finding: %v", f)
		}
	}
}

// ofVirtualServers reports whether a word stands in a block of virtual servers,
// and starts a statement there.
func ofVirtualServers(k config.Keyword) bool {
	switch k.Block {
	case "virtual_server", "real_server", "checker", "HTTP_GET", "url", "SMTP_CHECK", "DNS_CHECK", "MISC_CHECK", "UDP_CHECK", "FILE_CHECK", "server_group":
		return !strings.HasPrefix(k.Word, "IPADDR")
	}
	return false
}

func TestVirtualServersStayTheSameThroughRenderingAndImport(t *testing.T) {
	doc := everyWord(t)
	files := map[string]config.ImportSource{}
	for _, node := range []string{"lb01", "lb02"} {
		want, _ := config.Compile(doc, node)
		if len(want.VirtualServers) != 5 {
			t.Fatalf("%d virtual servers on %s, want 5", len(want.VirtualServers), node)
		}
		text, err := config.Render(doc, node)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := config.Compile(syntax.Parse("rendered", text), node); !config.Equal(got, want) {
			t.Errorf("the rendered document of %s says another thing:\n%s", node, text)
		}
		nodes, _ := doc.Expand(syntax.Options{Node: node})
		if got, _ := config.Compile(syntax.Parse("printed", syntax.Print(nodes)), node); !config.Equal(got, want) {
			t.Errorf("the printed document of %s says another thing:\n%s", node, syntax.Print(nodes))
		}
		files[node] = config.ImportSource{File: node, Text: text}
	}
	text, report, err := config.Import(files)
	if err != nil || report.Own["lb01"] != 5 || report.Own["lb02"] != 1 {
		t.Fatalf("import: %v, own lines %v, want 5 of lb01 and 1 of lb02", err, report.Own)
	}
	for node := range files {
		want, _ := config.Compile(doc, node)
		if got, _ := config.Compile(syntax.Parse("imported", text), node); !config.Equal(got, want) {
			t.Errorf("the imported document says another thing for %s:\n%s", node, text)
		}
	}
}

func TestKeepalivedTakesEveryWordOfVirtualServers(t *testing.T) {
	text, err := config.Render(everyWord(t), "lb02")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keepalived.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("keepalived", "-t", "-f", file).CombinedOutput()
	if _, ran := err.(*exec.ExitError); err != nil && !ran {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if !expectedOfKeepalived(line) {
			t.Errorf("keepalived: %s", line)
		}
	}
}

func TestEditsReachVirtualServers(t *testing.T) {
	for path, want := range map[string]string{
		"virtual_server 192.0.2.100 9826":                                       "    retry 2\n}",
		"virtual_server 192.0.2.100 9826 real_server 192.0.2.22 9826":           "        retry 2\n    }\n}",
		"virtual_server 192.0.2.100 9826 real_server 192.0.2.21 9826 TCP_CHECK": "            retry 2\n        }\n    }\n    real_server 192.0.2.22",
	} {
		got, err := config.Set(users(t)["u6"], path, "retry", "2", "")
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("retry 2 in %s: %v\n%s", path, err, got)
		}
	}
}
