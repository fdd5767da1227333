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

// Rendering a document for each node, importing that and rendering again gives
// each node what it had, and importing once more changes nothing.
func TestImportGivesEachNodeWhatItHad(t *testing.T) {
	for name, doc := range users(t) {
		if name == "u9" {
			continue // its blocks are hacluster's; the files of keepalived have none
		}
		t.Run(name, func(t *testing.T) {
			files := map[string]config.ImportSource{}
			for _, n := range doc.Nodes() {
				text, err := config.Render(doc, n)
				if err != nil {
					t.Fatal(err)
				}
				files[n] = config.ImportSource{File: n + ".conf", Text: text}
			}
			text, report, err := config.Import(files)
			if err != nil {
				t.Fatal(err)
			}
			merged := syntax.Parse("cluster.conf", text)
			again := map[string]config.ImportSource{}
			for n, f := range files {
				got, err := config.Render(merged, n)
				if err != nil {
					t.Fatal(err)
				}
				want, _ := config.Compile(syntax.Parse(f.File, f.Text), n)
				have, _ := config.Compile(syntax.Parse(f.File, got), n)
				if !config.Equal(want, have) {
					t.Errorf("%s has another configuration:\n%s", n, config.Diff("want", f.Text, "got", got))
				}
				again[n] = config.ImportSource{File: n, Text: got}
			}
			second, _, err := config.Import(again)
			if err != nil || second != text {
				t.Errorf("importing again: %v\n%s", err, config.Diff("first", text, "second", second))
			}
			if report.Shared == 0 || len(report.Rewritten) > 0 {
				t.Errorf("report %+v, want shared lines and no file written anew", report)
			}
		})
	}
}

func TestImportPutsConditionsWhereFilesDiffer(t *testing.T) {
	file := func(state, prio string) string {
		return "! of this machine\nvrrp_instance VI_1 {\n    state " + state + "\n    interface eth0\n    virtual_router_id 51\n    priority " + prio +
			"\n    virtual_ipaddress {\n        192.0.2.1\n    }\n}\n"
	}
	text, report, err := config.Import(map[string]config.ImportSource{
		"lb01": {File: "1", Text: file("MASTER", "100")},
		"lb02": {File: "2", Text: file("BACKUP", "90")},
		"lb03": {File: "3", Text: file("BACKUP", "80")},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `! of this machine
vrrp_instance VI_1 {
    @lb01 state MASTER
    @^lb01 state BACKUP
    interface eth0
    virtual_router_id 51
    @lb01 priority 100
    @lb02 priority 90
    @lb03 priority 80
    virtual_ipaddress {
        192.0.2.1
    }
}
`
	if text != want {
		t.Errorf("%s", config.Diff("want", want, "got", text))
	}
	if report.Shared != 7 || report.Own["lb02"] != 2 {
		t.Errorf("report %+v, want 7 shared lines and 2 of lb02", report)
	}
}

// A whole block that one machine has alone comes out line by line; keepalived
// must read it so as well.
func TestImportKeepsBlocksOfOneMachine(t *testing.T) {
	const common = "vrrp_instance A {\n    interface eth0\n    virtual_router_id 1\n    virtual_ipaddress {\n        192.0.2.1\n    }\n}\n"
	const alone = "vrrp_instance B {\n    interface eth0\n    virtual_router_id 2\n    virtual_ipaddress {\n        192.0.2.2\n    }\n}\n"
	text, _, err := config.Import(map[string]config.ImportSource{
		"lb01": {File: "1", Text: alone + common},
		"lb02": {File: "2", Text: common},
		"lb03": {File: "3", Text: common + "# the end\n"},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keepalived.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, node := range []string{"lb01", "lb02", "lb03"} {
		out, _ := exec.Command("keepalived", "-t", "-i", node, "-f", file).CombinedOutput()
		for line := range strings.Lines(string(out)) {
			if !expectedOfKeepalived(line) {
				t.Errorf("keepalived on %s: %s\n%s", node, line, text)
			}
		}
		cfg, _ := config.Compile(syntax.Parse("f", text), node)
		want := 1
		if node == "lb01" {
			want = 2
		}
		if len(cfg.Instances) != want {
			t.Errorf("%s has %d instances, want %d:\n%s", node, len(cfg.Instances), want, text)
		}
	}
}

func TestImportReadsIncludedFilesAndLongDefinitions(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "part.conf"), []byte("virtual_router_id 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := "$I= \\\n interface eth0 \\\n priority 90\nvrrp_instance A {\n $I\n include part.conf\n virtual_ipaddress { 192.0.2.1 }\n}\n"
	got, report, err := config.Import(map[string]config.ImportSource{
		"a": {File: filepath.Join(dir, "k.conf"), Text: text, Files: syntax.OSFiles{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Rewritten) != 1 || !strings.Contains(got, "virtual_router_id 7") {
		t.Errorf("report %+v, text:\n%s", report, got)
	}
}

func TestImportRefusesFilesThatDoNotCompile(t *testing.T) {
	_, _, err := config.Import(map[string]config.ImportSource{"a": {File: "a.conf", Text: "vrrp_instance A {\n"}})
	if err == nil || !strings.Contains(err.Error(), "a.conf:1:1: block vrrp_instance A is not closed") {
		t.Errorf("error %v", err)
	}
}

// keepalived itself must take what Render gives, and what Import makes with its
// conditions. The documents name eth0 and eth1; missing interfaces are the one
// thing that it may complain about.
func TestKeepalivedTakesRenderedDocuments(t *testing.T) {
	bin, err := exec.LookPath("keepalived")
	if err != nil {
		t.Fatal("keepalived is not installed; install the package keepalived")
	}
	for name, doc := range users(t) {
		t.Run(name, func(t *testing.T) {
			for _, node := range doc.Nodes() {
				text, err := config.Render(doc, node)
				if err != nil {
					t.Fatal(err)
				}
				for kind, content := range map[string]string{"rendered": text, "conditions": doc.Text()} {
					if kind == "conditions" && name == "u9" {
						continue // it has blocks that keepalived does not know
					}
					file := filepath.Join(t.TempDir(), "keepalived.conf")
					if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
						t.Fatal(err)
					}
					out, _ := exec.Command(bin, "-t", "-i", node, "-f", file).CombinedOutput()
					for line := range strings.Lines(string(out)) {
						if !expectedOfKeepalived(line) {
							t.Errorf("keepalived on the %s document of %s: %s", kind, node, line)
						}
					}
				}
			}
		})
	}
}

// expectedOfKeepalived reports whether a line of its configuration test says
// something about this machine, or what the document wants it to say.
func expectedOfKeepalived(line string) bool {
	for _, s := range []string{
		"doesn't exist", "Non-existent interface", "SECURITY VIOLATION", "Unsafe permissions", "not executable",
		"Script user", "default user", "script security", "Unable to", "WARNING - script", "nb_get_retry", "protocol specified for fwmark",
		"Unknown interface", "not found", "disabling", "cannot track route",
	} {
		if strings.Contains(line, s) {
			return true
		}
	}
	return strings.TrimSpace(line) == ""
}
