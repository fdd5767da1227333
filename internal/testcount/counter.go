package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// event is one line of go test -json (go doc test2json).
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build-output and build-fail
	Test        string
	Output      string
	FailedBuild string
}

// test is one test or subtest, or with an empty name a package as such.
type test struct {
	pkg, name string
	output    strings.Builder
	started   bool   // a run event was seen
	action    string // how it ended; empty: it did not
	parent    bool   // has subtests, which are counted in its place
}

func (t *test) String() string {
	if t.name == "" {
		return t.pkg
	}
	return t.pkg + " " + t.name
}

// counter takes the output of go test -json and counts tests. A test with
// subtests stands for itself only when it failed and none of them did.
type counter struct {
	needs map[string]string
	rest  []byte // an unfinished line
	tests map[[2]string]*test
	order []*test
	build map[string]*strings.Builder // compiler output by package
}

func newCounter(needs map[string]string) *counter {
	return &counter{needs: needs, tests: make(map[[2]string]*test), build: make(map[string]*strings.Builder)}
}

// Write takes lines in pieces of any size.
func (c *counter) Write(p []byte) (int, error) {
	c.rest = append(c.rest, p...)
	for {
		line, rest, found := bytes.Cut(c.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		c.line(line)
		c.rest = rest
	}
}

func (c *counter) line(line []byte) {
	var ev event
	if json.Unmarshal(line, &ev) != nil || ev.Action == "" {
		return // not an event: a program that prints past the test runner
	}
	if ev.ImportPath != "" {
		if c.build[ev.ImportPath] == nil {
			c.build[ev.ImportPath] = new(strings.Builder)
		}
		c.build[ev.ImportPath].WriteString(ev.Output)
		return
	}
	t := c.test(ev.Package, ev.Test)
	switch ev.Action {
	case "output":
		t.output.WriteString(ev.Output)
	case "run":
		if t.action != "" { // once more, by -count: each time counts
			delete(c.tests, [2]string{ev.Package, ev.Test})
			t = c.test(ev.Package, ev.Test)
		}
		t.started = true
		c.markParent(ev.Package, ev.Test)
	case "pass", "fail", "skip":
		t.action = ev.Action
		if b := c.build[ev.FailedBuild]; b != nil {
			t.output.WriteString(b.String())
		}
	}
}

// markParent finds the test that a subtest belongs to: the longest one that has
// started, since the name of a subtest may have slashes of its own.
func (c *counter) markParent(pkg, name string) {
	for i := strings.LastIndexByte(name, '/'); i > 0; i = strings.LastIndexByte(name[:i], '/') {
		if t := c.tests[[2]string{pkg, name[:i]}]; t != nil && t.started {
			t.parent = true
			return
		}
	}
}

func (c *counter) test(pkg, name string) *test {
	key := [2]string{pkg, name}
	t := c.tests[key]
	if t == nil {
		t = &test{pkg: pkg, name: name}
		c.tests[key] = t
		c.order = append(c.order, t)
	}
	return t
}

// finish counts everything seen.
func (c *counter) finish() Summary {
	sum := Summary{NotRun: make(map[string]int)}
	failedIn := make(map[string]bool) // packages in which a test failed
	for _, t := range c.order {
		switch {
		case t.name == "":
		case t.action == "fail" && !(t.parent && c.childFailed(t)), t.action == "":
			failedIn[t.pkg] = true
			out := t.output.String()
			if t.action == "" {
				out += "the test did not end\n"
			}
			sum.Failed = append(sum.Failed, Failure{t.String(), out})
		case t.parent:
		case t.action == "pass":
			sum.Passed++
		case t.action == "skip":
			if feature, ok := c.needs[rootName(t.name)]; ok && strings.Contains(t.output.String(), feature) {
				sum.NotRun[feature]++
				continue
			}
			sum.Failed = append(sum.Failed, Failure{t.String(), t.output.String() + "skipped, and not listed as one that may be\n"})
		}
	}
	for _, t := range c.order {
		// A package fails by itself when it does not build, panics outside a
		// test, or runs out of time.
		if t.name == "" && (t.action == "fail" || t.action == "") && !failedIn[t.pkg] {
			sum.Failed = append(sum.Failed, Failure{t.String(), t.output.String()})
		}
	}
	return sum
}

func (c *counter) childFailed(parent *test) bool {
	return slices.ContainsFunc(c.order, func(t *test) bool {
		return t.pkg == parent.pkg && strings.HasPrefix(t.name, parent.name+"/") && t.action != "pass" && t.action != "skip"
	})
}

func rootName(name string) string { root, _, _ := strings.Cut(name, "/"); return root }

// readNeeds reads the list of tests that may be skipped, and for want of which
// kernel feature.
func readNeeds(path string) (map[string]string, error) {
	needs := make(map[string]string)
	if path == "" {
		return needs, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		switch len(words) {
		case 0:
		case 2:
			needs[words[0]] = words[1]
		default:
			return nil, fmt.Errorf("%s:%d: want TEST FEATURE", path, n)
		}
	}
	return needs, lines.Err()
}

// reasons lists not-run tests by feature.
func reasons(notRun map[string]int) string {
	var list []string
	for _, feature := range slices.Sorted(maps.Keys(notRun)) {
		list = append(list, fmt.Sprintf("%s: %d", feature, notRun[feature]))
	}
	return strings.Join(list, ", ")
}
