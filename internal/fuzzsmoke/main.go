// Command fuzzsmoke runs every fuzz target of the module for a short while and
// prints what go test -json prints. The time given is shared among the
// targets, with a second for each at least.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"time"
)

func main() {
	total := flag.Duration("total", time.Minute, "fuzzing time of all targets together")
	flag.Parse()
	if err := run(*total); err != nil {
		fmt.Fprintln(os.Stderr, "fuzzsmoke:", err)
		os.Exit(1)
	}
}

// target is one fuzz function.
type target struct{ pkg, name string }

func run(total time.Duration) error {
	targets, err := list()
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return fmt.Errorf("no fuzz target found")
	}
	each := max(time.Second, total/time.Duration(len(targets)))
	failed := 0
	for _, t := range targets {
		var out []byte
		var err error
		for range attempts {
			cmd := exec.Command("go", "test", "-json", "-run=^$", "-fuzz=^"+t.name+"$", "-fuzztime="+each.String(), t.pkg)
			cmd.Stderr = os.Stderr
			if out, err = cmd.Output(); err == nil || !endedLate(out) {
				break
			}
		}
		os.Stdout.Write(out)
		if err != nil {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d fuzz targets failed", failed, len(targets))
	}
	return nil
}

// attempts bounds how often a target is run again that only ended late.
const attempts = 3

// endedLate reports whether the fuzzing engine failed because its time was over
// while a worker was busy (golang/go#48591), and not by an input.
func endedLate(out []byte) bool {
	return bytes.Contains(out, []byte("context deadline exceeded")) && !bytes.Contains(out, []byte("Failing input"))
}

// list asks the test binaries which fuzz functions they have.
func list() ([]target, error) {
	cmd := exec.Command("go", "test", "-json", "-run=^$", "-list=^Fuzz", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list fuzz targets: %w\n%s", err, out)
	}
	return parseList(out), nil
}

func parseList(out []byte) []target {
	var targets []target
	for line := range bytes.Lines(out) {
		var ev struct{ Action, Package, Output string }
		if json.Unmarshal(line, &ev) != nil || ev.Action != "output" {
			continue
		}
		name := string(bytes.TrimSpace([]byte(ev.Output)))
		if len(name) > 4 && name[:4] == "Fuzz" {
			targets = append(targets, target{ev.Package, name})
		}
	}
	return targets
}
