package debian

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	cacheDir = "/var/cache/hacluster-test"
	release  = "bookworm"

	// contents are the packages of the root, beside what minbase has: an init,
	// and what the stories look with.
	contents = "systemd-sysv,procps"

	// makeLimit bounds one mmdebstrap run: about a minute with a near mirror.
	makeLimit = 6 * time.Minute
)

// newRoot unpacks a fresh Debian root that lives as long as the test.
func newRoot(t *testing.T) string {
	t.Helper()
	archive := rootArchive(t)
	dir, err := os.MkdirTemp(cacheDir, "root-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the root: %v", err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	host(t, time.Minute, "tar", "-C", dir, "-xf", archive, "--exclude=./dev/*")
	return dir
}

// rootArchive is the path of the root's archive, made now when it is missing.
func rootArchive(t *testing.T) string {
	t.Helper()
	recipe := sha256.Sum256([]byte(release + "\n" + contents))
	path := filepath.Join(cacheDir, fmt.Sprintf("debian-%s-%x.tar", release, recipe[:6]))
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if err := os.MkdirAll(cacheDir, 0o755); err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	options := filepath.Join(work, "apt.conf") // proxies and the like
	if err := os.WriteFile(options, []byte(host(t, time.Minute, "apt-config", "dump", "Acquire")), 0o600); err != nil {
		t.Fatal(err)
	}
	sources := filepath.Join(work, "sources.list")
	if err := os.WriteFile(sources, []byte(debianSources(t)), 0o644); err != nil {
		t.Fatal(err)
	}
	made := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer os.Remove(made)
	begin := time.Now()
	host(t, makeLimit, "mmdebstrap", "--quiet", "--variant=minbase", "--include="+contents,
		"--format=tar", "--aptopt="+options, release, made, sources)
	if err := os.Rename(made, path); err != nil {
		t.Fatal(err)
	}
	t.Logf("made %s in %v; the next run takes it as it is", path, time.Since(begin).Round(time.Second))
	return path
}

// debianSources are the sources of the release that apt is configured with on
// this machine, and no others.
func debianSources(t *testing.T) string {
	t.Helper()
	list := func() []string {
		out := host(t, time.Minute, "apt-get", "indextargets", "--format", "$(ORIGIN) deb $(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages")
		var lines []string
		for line := range strings.Lines(out) {
			source, ok := strings.CutPrefix(strings.TrimSpace(line), "Debian ")
			if ok && strings.HasPrefix(strings.Fields(source)[2], release) {
				lines = append(lines, source)
			}
		}
		slices.Sort(lines)
		return slices.Compact(lines)
	}
	lines := list()
	if len(lines) == 0 { // the lists were removed, as images of containers do
		host(t, 2*time.Minute, "apt-get", "-qq", "update")
		lines = list()
	}
	if len(lines) == 0 {
		t.Fatalf("apt is configured with no source of Debian %s: the root cannot be made", release)
	}
	return strings.Join(lines, "\n") + "\n"
}

// host runs a program on this machine, outside the container, and returns its
// standard output.
func host(t *testing.T, limit time.Duration, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var out, errOut strings.Builder
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(argv, " "), err, out.String(), errOut.String())
	}
	return out.String()
}
