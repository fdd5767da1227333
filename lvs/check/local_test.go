package check

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/run"
)

func TestMisc(t *testing.T) {
	tests := []struct {
		name    string
		script  string
		dynamic bool
		up      bool
		weight  Weight
		want    string
	}{
		{name: "exit 0", script: "exit 0", up: true, want: "exit status 0"},
		{name: "exit 1", script: "exit 1", want: "exit status 1"},
		{name: "exit 7 without misc_dynamic", script: "exit 7", want: "exit status 7"},
		{name: "what it says", script: "echo replica lags 40s; echo more; exit 1", want: `exit status 1, it says "replica lags 40s"`},
		{name: "dynamic exit 0 keeps the weight", script: "exit 0", dynamic: true, up: true},
		{name: "dynamic exit 1", script: "exit 1", dynamic: true, want: "exit status 1"},
		{name: "dynamic exit 2", script: "exit 2", dynamic: true, up: true, weight: Weight{WeightSet, 0}, want: "so weight 0"},
		{name: "dynamic exit 255", script: "exit 255", dynamic: true, up: true, weight: Weight{WeightSet, 253}, want: "so weight 253"},
		{name: "killed", script: "kill -9 $$", dynamic: true, want: "killed by killed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := Misc{Command: run.Command{Argv: []string{"sh", "-c", test.script}, Timeout: patience}, Dynamic: test.dynamic}
			if r := want(t, c, test.up, test.want); r.Weight != test.weight {
				t.Errorf("weight = %+v, want %+v", r.Weight, test.weight)
			}
		})
	}
	t.Run("time is up", func(t *testing.T) {
		wantDown(t, Misc{Command: run.Command{Argv: []string{"sleep", "60"}, Timeout: 100 * time.Millisecond}}, "timed out after")
	})
	t.Run("no such program", func(t *testing.T) {
		wantVoid(t, Misc{Command: run.Command{Argv: []string{"/no/such/program"}}}, "not started")
	})
	t.Run("a script that others may change", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "check")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
		wantVoid(t, Misc{Command: run.Command{Argv: []string{path}, Secure: true, Timeout: patience}}, "is not secure")
	})
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	file := func(text string) string {
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := []struct {
		name, text string
		weight     int
		reverse    bool
		up         bool
		want       Weight
		words      string
	}{
		{name: "weight 0 and 0", text: "0\n", up: true, words: "it says 0"},
		{name: "weight 0 and a number", text: "3\n", words: "it says 3, and only 0 is up"},
		{name: "weight 0 and no number", text: "drained\n", up: true, words: "there is no number"},
		{name: "empty", text: "", up: true, words: "there is no number"},
		{name: "number times weight", text: " 3 of 4\n", weight: -2, up: true, want: Weight{WeightAdjust, -6}, words: "adds -6 to the weight"},
		{name: "reverse", text: "3\n", weight: 2, reverse: true, up: true, want: Weight{WeightAdjust, -6}},
		{name: "no number adds nothing", text: "x", weight: 2, up: true, want: Weight{WeightAdjust, 0}},
		{name: "more than a weight can be", text: "999999999999", weight: 5, up: true, want: Weight{WeightAdjust, 1<<31 - 1}},
		{name: "less than a weight can be", text: "-2147483647", weight: 5, words: "the least weight"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := File{Path: file(test.text), Weight: test.weight, Reverse: test.reverse}
			if r := want(t, c, test.up, test.words); r.Weight != test.want {
				t.Errorf("weight = %+v, want %+v", r.Weight, test.want)
			}
		})
	}
	t.Run("no file", func(t *testing.T) { wantUp(t, File{Path: filepath.Join(dir, "none")}, "no such file") })
	t.Run("a directory", func(t *testing.T) { wantVoid(t, File{Path: dir}, "not a regular file") })
	t.Run("a pipe that nobody writes", func(t *testing.T) {
		path := filepath.Join(dir, "pipe")
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		wantVoid(t, File{Path: path}, "not a regular file")
	})
}

func FuzzFileNumber(f *testing.F) {
	for _, s := range []string{"0", " -12\n", "+", "99999999999999999999", "1x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, ok := parseNumber(text); n > 1<<31-1 || n < -1<<31 || n != 0 && !ok {
			t.Errorf("%q is %d, %v", text, n, ok)
		}
	})
}
