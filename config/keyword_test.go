package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
)

func TestEveryKeywordIsKnownInItsBlock(t *testing.T) {
	for _, k := range config.Keywords() {
		text, ok := inBlock(k)
		if !ok {
			continue // lines of words, checked by the documents of testdata
		}
		_, findings := config.Compile(syntax.Parse("f", text), "n")
		for _, f := range findings {
			if strings.Contains(f.Msg, k.Word+" is not known") || strings.Contains(f.Msg, k.Word+" has no effect in") {
				t.Errorf("%s in %s: %v\n%s", k.Word, k.Block, f, text)
			}
			if k.Status != config.StatusImplemented && f.Severity == config.Error && strings.HasPrefix(f.Msg, k.Word+" ") {
				t.Errorf("%s in %s is not implemented, yet it is refused: %v", k.Word, k.Block, f)
			}
		}
	}
}

// inBlock writes a document with the word in its block. The value is nothing: a
// word that is implemented must refuse or take that, never panic.
func inBlock(k config.Keyword) (string, bool) {
	statement := k.Word
	if strings.HasPrefix(k.Arguments, "block:") || strings.HasPrefix(k.Arguments, "list:") {
		if k.Block == "top" || k.Word == "real_server" {
			statement += " x"
		}
		statement += " { }"
	}
	vs := func(inner string) string { return "virtual_server x { real_server y { " + inner + " } }" }
	switch k.Block {
	case "top":
		return statement, true
	case "global_defs", "cluster":
		return k.Block + " { " + statement + " }", true
	case "vrrp_instance", "vrrp_sync_group", "vrrp_script", "virtual_server", "bfd_instance", "track_file", "vrrp_track_process", "track_group", "garp_group":
		return k.Block + " x { " + statement + " }", true
	case "SSL":
		return "SSL { " + statement + " }", true
	case "authentication", "auth_hmac", "split_brain":
		return "vrrp_instance x { " + k.Block + " { " + statement + " } }", true
	case "real_server":
		return vs(statement), true
	case "checker":
		return vs("TCP_CHECK { " + statement + " }"), true
	case "HTTP_GET", "SMTP_CHECK", "DNS_CHECK", "MISC_CHECK", "UDP_CHECK", "FILE_CHECK", "BFD_CHECK":
		return vs(k.Block + " { " + statement + " }"), true
	case "url":
		return vs("HTTP_GET { url { " + statement + " } }"), true
	}
	return "", false
}

func TestTheTableIsWellFormed(t *testing.T) {
	seen := map[[2]string]bool{}
	for _, k := range config.Keywords() {
		if key := [2]string{k.Block, k.Word}; seen[key] {
			t.Errorf("%s stands twice in %s", k.Word, k.Block)
		} else {
			seen[key] = true
		}
		switch k.Status {
		case config.StatusImplemented, config.StatusIgnored, config.StatusUnsupported:
		default:
			t.Errorf("%s in %s has status %q", k.Word, k.Block, k.Status)
		}
		if k.Arguments == "" || k.Default == "" || k.Tier == "" {
			t.Errorf("%s in %s has an empty column", k.Word, k.Block)
		}
	}
	if len(seen) < 525 {
		t.Errorf("%d rows, want all 525 words of keepalived and hacluster's own", len(seen))
	}
}

// machine is an Env for tests.
type machine struct{ interfaces string }

func (m machine) HasInterface(name string) bool { return strings.Contains(m.interfaces, name) }

func (machine) Program(path string, as config.User) error {
	if path == "/bin/echo" {
		return nil
	}
	return errors.New(path + " is missing")
}

func TestCheckOnNodeFindsWhatTheMachineLacks(t *testing.T) {
	cfg, _ := config.Compile(users(t)["u5"], "lb01")
	for _, strict := range []bool{false, true} {
		findings := config.CheckOnNode(cfg, machine{"eth0"}, strict)
		if len(findings) != 1 || (findings.Err() != nil) != strict {
			t.Fatalf("strict %v: findings %v, want one", strict, findings)
		}
		if !strings.HasSuffix(findings[0].Msg, "interface eth1 does not exist on this machine") {
			t.Errorf("finding %v, want one about eth1", findings[0])
		}
	}
	cfg, _ = config.Compile(users(t)["u3"], "lb01")
	if fs := config.CheckOnNode(cfg, machine{"eth0"}, false); len(fs) != 2 {
		t.Errorf("findings %v, want killall and sh missing", fs)
	}
}

func TestMachineFindsInsecurePrograms(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "s")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	var m config.Machine
	if err := m.Program("/bin/sh", config.User{Name: "root"}); err != nil {
		t.Errorf("/bin/sh: %v", err)
	}
	if err := m.Program(script, config.User{}); err != nil {
		t.Errorf("root's own script: %v", err)
	}
	if err := os.Chmod(script, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := m.Program(script, config.User{}); err == nil || !strings.Contains(err.Error(), "others than root may change") {
		t.Errorf("a script that anybody may change: %v", err)
	}
	if err := m.Program(filepath.Join(dir, "none"), config.User{}); err == nil {
		t.Error("a missing script is taken")
	}
	if m.HasInterface("no-such-if0") || !m.HasInterface("lo") {
		t.Error("HasInterface is wrong about lo or no-such-if0")
	}
}
