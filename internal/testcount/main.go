package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// stepLimit ends a step that hangs in spite of its own limits.
const stepLimit = 25 * time.Minute

func main() {
	needs := flag.String("needs", "", "file of tests that may be skipped: TEST FEATURE, one a line")
	flag.Parse()
	os.Exit(run(*needs, flag.Args(), os.Stdout))
}

func run(needsFile string, steps []string, out io.Writer) int {
	needs, err := readNeeds(needsFile)
	if err != nil {
		fmt.Fprintln(out, err)
		return 2
	}
	var sum Summary
	var beside []<-chan done // what runs meanwhile
	report := func(d done) {
		d.sum.report(out, d.name, d.took)
		sum.add(d.sum)
	}
	for _, s := range steps {
		words := strings.Fields(s)
		meanwhile := len(words) > 0 && words[0] == "beside"
		if meanwhile {
			words = words[1:]
		}
		if len(words) < 3 || words[0] != "step" && words[0] != "tests" {
			fmt.Fprintf(out, "step %q: want `step NAME COMMAND…` or `tests NAME COMMAND…`, perhaps after `beside`\n", s)
			return 2
		}
		ended := start(words[0] == "tests", words[1], words[2:], needs)
		if meanwhile {
			beside = append(beside, ended)
			continue
		}
		report(<-ended)
		for _, b := range beside {
			report(<-b)
		}
		beside = nil
	}
	for _, b := range beside {
		report(<-b)
	}
	sum.last(out)
	if len(sum.Failed) > 0 {
		return 1
	}
	return 0
}

// done is a step at its end.
type done struct {
	name string
	sum  Summary
	took time.Duration
}

// start runs a step and tells when it has ended.
func start(tests bool, name string, argv []string, needs map[string]string) <-chan done {
	ended := make(chan done, 1)
	go func() {
		begin := time.Now()
		ended <- done{name, runStep(tests, name, argv, needs), time.Since(begin)}
	}()
	return ended
}

// runStep runs one command to its end.
func runStep(tests bool, name string, argv []string, needs map[string]string) Summary {
	ctx, cancel := context.WithTimeout(context.Background(), stepLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = 5 * time.Second
	var text bytes.Buffer
	cmd.Stderr = &text
	if !tests {
		cmd.Stdout = &text
		if err := cmd.Run(); err != nil {
			return Summary{Failed: []Failure{{name, fmt.Sprintf("%s%s: %v\n", text.String(), strings.Join(argv, " "), err)}}}
		}
		return Summary{Passed: 1}
	}

	count := newCounter(needs)
	cmd.Stdout = count
	err := cmd.Run()
	sum := count.finish()
	switch {
	case err != nil && len(sum.Failed) == 0:
		sum.Failed = append(sum.Failed, Failure{name, fmt.Sprintf("%s%s: %v, and no test failed\n", text.String(), strings.Join(argv, " "), err)})
	case sum.Passed+len(sum.Failed) == 0:
		sum.Failed = append(sum.Failed, Failure{name, text.String() + "no test ran\n"})
	}
	return sum
}
