package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// samplesDir holds the configuration samples of Debian's keepalived package.
const samplesDir = "/usr/share/doc/keepalived/samples"

// Every sample that keepalived's users start from passes --check, but for the
// one that is malformed: a rule of vrrp.rules says "to 192.168.100./24".
func TestCheckPassesTheSamplesOfKeepalived(t *testing.T) {
	n := lab.New(t).Node("a")
	samples, err := filepath.Glob(samplesDir + "/keepalived.conf.*")
	if err != nil || len(samples) < 20 {
		t.Fatalf("found %d samples in %s (%v); is the package's documentation installed?", len(samples), samplesDir, err)
	}
	for _, sample := range samples {
		t.Run(filepath.Base(sample), func(t *testing.T) {
			want := 0
			if strings.HasSuffix(sample, ".vrrp.rules") {
				want = 1
			}
			r := n.Run(lab.Binary(t, "haclusterd"), "--check", sample)
			if r.Exit != want {
				t.Errorf("exit %d, want %d\n%v", r.Exit, want, r)
			}
		})
	}
}

// The shapes of what users run today (U1 to U9) pass --check. What is not built
// yet, or what keepalived itself only reports, is a warning.
func TestCheckPassesTheShapesOfUsers(t *testing.T) {
	lan := lab.New(t)
	n := lan.Node("a")
	shapes, err := filepath.Glob("testdata/shapes/*.conf")
	if err != nil || len(shapes) != 9 {
		t.Fatalf("found %d shapes (%v), want 9", len(shapes), err)
	}
	for _, shape := range shapes {
		t.Run(filepath.Base(shape), func(t *testing.T) {
			file, err := filepath.Abs(shape)
			if err != nil {
				t.Fatal(err)
			}
			if r := n.Run(lab.Binary(t, "haclusterd"), "--check", file, "--name=lb01"); r.Exit != 0 {
				t.Errorf("haclusterd --check: %v", r)
			}
		})
	}
}

func TestCheckFindsMistakes(t *testing.T) {
	n := lab.New(t).Node("a")
	const good = "vrrp_instance VI_1 {\n\tinterface eth0\n\tvirtual_router_id 51\n\tpriority 100\n\tvirtual_ipaddress {\n\t\t192.0.2.100\n\t}\n}\n"
	tests := []struct {
		name string
		text string
		args []string
		exit int
		want []string // in standard error
	}{
		{"a good document", good, nil, 0, nil},
		{"an unknown word", strings.Replace(good, "priority", "priorty", 1), nil, 1, []string{":4:2:", "priorty", "priority"}},
		{"a value out of range", strings.Replace(good, "51", "300", 1), nil, 1, []string{":3:20:", "300", "1 to 255"}},
		{"all mistakes at once", strings.NewReplacer("51", "300", "priority", "priorty").Replace(good), nil, 1, []string{":3:", ":4:"}},
		{"nothing", "! truncated\n", nil, 0, []string{":1:1: warning: the document is empty"}},
		{"an interface that is not here", strings.Replace(good, "eth0", "nosuch0", 1), nil, 0, []string{"nosuch0"}},
		{"the same on this node", strings.Replace(good, "eth0", "nosuch0", 1), []string{"--on-this-node"}, 1, []string{"nosuch0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := n.WriteFile("test.conf", tt.text)
			r := n.Run(append([]string{lab.Binary(t, "haclusterd"), "--check", file}, tt.args...)...)
			if r.Exit != tt.exit {
				t.Errorf("exit %d, want %d\n%v", r.Exit, tt.exit, r)
			}
			for _, want := range tt.want {
				if !strings.Contains(r.Stderr, want) {
					t.Errorf("standard error lacks %q:\n%s", want, r.Stderr)
				}
			}
			if r.Stdout != "" {
				t.Errorf("findings belong on standard error; standard output has %q", r.Stdout)
			}
		})
	}
}

// What cannot start says why in one line, ends with status 1 and leaves
// nothing.
func TestRefusedStarts(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	n := lan.Node("a")
	conf := twoNodes(2, 150, 100, vip, "")
	running := n.StartStandalone(conf)
	n.WantAddr(vip, electionTime)

	// Somebody without rights must be able to execute it wherever it was built.
	own := filepath.Join(n.TempDir(), "haclusterd")
	if err := os.Chmod(filepath.Dir(own), 0o755); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(lab.Binary(t, "haclusterd"))
	if err == nil {
		err = os.WriteFile(own, program, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}

	fresh := func() []string {
		dir := n.TempDir()
		return []string{"--data-dir=" + dir + "/data", "--run-dir=" + dir + "/run", "--name=a"}
	}
	file := n.WriteFile("haclusterd.conf", conf)
	unsupported := n.WriteFile("vmac.conf", strings.Replace(conf, "advert_int 1", "advert_int 1\n\tuse_vmac", 1))
	tests := []struct {
		name string
		run  func() lab.Result
		exit int
		want string
	}{
		{"not root", func() lab.Result {
			open := n.WriteFile("open.conf", conf)
			if err := os.Chmod(open, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(filepath.Dir(open), 0o755); err != nil {
				t.Fatal(err)
			}
			dir, err := os.MkdirTemp("", "hac-nobody-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			if err := os.Chown(dir, lab.Nobody, lab.Nobody); err != nil {
				t.Fatal(err)
			}
			return n.RunAs(lab.Nobody, own, "--standalone="+open, "--data-dir="+dir+"/data", "--run-dir="+dir+"/run", "--name=a")
		}, 1, "root"},
		{"a second daemon on the same data directory", func() lab.Result {
			return n.Run(own, "--standalone="+file, "--data-dir="+running.DataDir, "--run-dir="+running.RunDir, "--name=a")
		}, 1, "already running: pid"},
		{"no such document", func() lab.Result {
			return n.Run(append([]string{own, "--standalone=/nonexistent.conf"}, fresh()...)...)
		}, 1, "/nonexistent.conf"},
		{"an unsupported word that matters", func() lab.Result {
			return n.Run(append([]string{own, "--standalone=" + unsupported}, fresh()...)...)
		}, 1, "use_vmac"},
		{"an unknown flag", func() lab.Result { return n.Run(own, "--nosuch") }, 2, "nosuch"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := tt.run()
			if r.Exit != tt.exit || !strings.Contains(r.Stderr, tt.want) {
				t.Errorf("want exit %d and %q in standard error; got %v", tt.exit, tt.want, r)
			}
			if r.Took > 5*time.Second {
				t.Errorf("took %v to refuse", r.Took)
			}
		})
	}
	if !running.Running() || !n.Has(vip) {
		t.Error("the refused starts disturbed the daemon that runs")
	}
}

func TestVersionNamesCommitAndGo(t *testing.T) {
	n := lab.New(t).Node("a")
	r := n.Run(lab.Binary(t, "haclusterd"), "--version")
	if r.Exit != 0 || !strings.Contains(r.Stdout, "commit") || !strings.Contains(r.Stdout, "go1.") {
		t.Errorf("want version, commit and Go version; got %v", r)
	}
}
