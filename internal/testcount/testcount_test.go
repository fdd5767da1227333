package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCounting(t *testing.T) {
	tests := []struct {
		name   string
		events string
		needs  map[string]string
		want   string // the closing lines
	}{{
		name: "subtests are counted in their parent's place",
		events: `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/x"}
{"Action":"pass","Package":"p","Test":"TestA/x"}
{"Action":"run","Package":"p","Test":"TestA/y"}
{"Action":"fail","Package":"p","Test":"TestA/y"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}
`,
		want: "failed: p TestA/y\n1 passed, 1 failed\n",
	}, {
		name: "a parent that fails by itself counts",
		events: `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/x"}
{"Action":"pass","Package":"p","Test":"TestA/x"}
{"Action":"fail","Package":"p","Test":"TestA"}
`,
		want: "failed: p TestA\n1 passed, 1 failed\n",
	}, {
		name: "a subtest's own slashes make no parent",
		events: `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/x/y"}
{"Action":"pass","Package":"p","Test":"TestA/x/y"}
{"Action":"pass","Package":"p","Test":"TestA"}
`,
		want: "1 passed, 0 failed\n",
	}, {
		name: "a skip fails unless it is listed",
		events: `{"Action":"output","Package":"p","Test":"TestA","Output":"needs ip_vs"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p"}
`,
		needs: map[string]string{"TestA": "ip_vs"},
		want:  "failed: p TestB\n1 not run (ip_vs: 1)\n0 passed, 1 failed\n",
	}, {
		name: "a test that never ended fails",
		events: `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}
`,
		want: "failed: p TestA\n0 passed, 1 failed\n",
	}, {
		name: "each repeat counts",
		events: `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}
`,
		want: "failed: p TestA\n2 passed, 1 failed\n",
	}, {
		name: "a package that does not build fails once",
		events: `{"ImportPath":"p","Action":"build-output","Output":"x.go:1: syntax error\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"fail","Package":"p","FailedBuild":"p"}
`,
		want: "failed: p\n0 passed, 1 failed\n",
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCounter(tt.needs)
			for i := range tt.events { // byte by byte: lines arrive in pieces
				c.Write([]byte{tt.events[i]})
			}
			sum := c.finish()
			var out bytes.Buffer
			sum.last(&out)
			if out.String() != tt.want {
				t.Errorf("got\n%swant\n%s", out.String(), tt.want)
			}
		})
	}
}

func TestBuildOutputIsShown(t *testing.T) {
	c := newCounter(nil)
	c.Write([]byte(`{"ImportPath":"p","Action":"build-output","Output":"x.go:1: syntax error\n"}
{"Action":"fail","Package":"p","FailedBuild":"p"}
`))
	if sum := c.finish(); len(sum.Failed) != 1 || !strings.Contains(sum.Failed[0].Output, "syntax error") {
		t.Errorf("failures = %+v, want one with the compiler's words", sum.Failed)
	}
}

func TestStepsDecideTheExitStatus(t *testing.T) {
	tests := []struct {
		name  string
		steps []string
		exit  int
		last  string
	}{
		{"all pass", []string{"step a true", "step b true"}, 0, "2 passed, 0 failed"},
		{"one fails", []string{"step a true", "step b false"}, 1, "1 passed, 1 failed"},
		{"tests that print nothing", []string{"tests a true"}, 1, "0 passed, 1 failed"},
		{"one beside others fails", []string{"step a true", "beside step b false", "step c true"}, 1, "2 passed, 1 failed"},
		{"the last one is beside nothing", []string{"step a true", "beside step b true"}, 0, "2 passed, 0 failed"},
		{"a command that does not exist", []string{"step a /nonexistent"}, 1, "0 passed, 1 failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			exit := run("", tt.steps, &out)
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if last := lines[len(lines)-1]; exit != tt.exit || last != tt.last {
				t.Errorf("exit %d, last line %q; want %d, %q", exit, last, tt.exit, tt.last)
			}
		})
	}
}

// Each end of a pipe waits for the other.
func TestStepsBesideOthersRunMeanwhile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if exit := run("", []string{"beside step a cat " + pipe, "step b cp /dev/null " + pipe}, &out); exit != 0 {
		t.Errorf("exit %d, want 0\n%s", exit, out.String())
	}
}

func TestNeedsFileIsChecked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "needs.txt")
	if err := os.WriteFile(file, []byte("# comment\nTestA ip_vs\nTestB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readNeeds(file); err == nil || !strings.Contains(err.Error(), "needs.txt:3") {
		t.Errorf("error = %v, want one that names line 3", err)
	}
}
