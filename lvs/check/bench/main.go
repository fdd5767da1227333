// Bench measures what many TCP checks cost and how late they start, and writes
// docs/bench-checks.md. The checks run in a process of their own on one
// processor, and what they check in another one elsewhere.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	out := flag.String("out", "", "file to write; none: standard output")
	role := flag.String("role", "", "of a child: serve or check")
	var load load
	flag.IntVar(&load.Checks, "checks", 10000, "how many")
	flag.DurationVar(&load.DelayLoop, "delay-loop", 6*time.Second, "of each check")
	flag.DurationVar(&load.For, "for", time.Minute, "how long to measure")
	flag.IntVar(&load.Port, "port", 0, "of a child: what to check")
	flag.Parse()

	var err error
	switch *role {
	case "serve":
		err = serve()
	case "check":
		var r result
		if r, err = measure(load); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(r)
		}
	default:
		err = compare(load, *out)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// compare measures against each kind of target and writes the document.
func compare(load load, out string) error {
	targets, stop, err := startTargets()
	if err != nil {
		return err
	}
	defer stop()
	var rows []row
	for _, c := range []struct {
		name     string
		port     int
		realtime bool
	}{
		{"all accept; normal scheduling", targets.Accept, false},
		{"all accept", targets.Accept, true},
		{"all refuse", targets.Refuse, true},
		{"all are silent, `connect_timeout` 5 s", targets.Silent, true},
	} {
		load.Port = c.port
		r, err := runChecks(load, c.realtime)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		rows = append(rows, row{c.name, r})
	}
	text := document(load, rows)
	if out == "" {
		_, err = os.Stdout.WriteString(text)
		return err
	}
	return os.WriteFile(out, []byte(text), 0o644)
}

// startTargets starts the process that is checked, on the last processor.
func startTargets() (ports, func(), error) {
	var p ports
	cmd := exec.Command("/proc/self/exe", "-role", "serve")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe() // the child ends when it closes
	if err != nil {
		return p, nil, err
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		return p, nil, err
	}
	if err := startOn(cmd, runtime.NumCPU()-1, false); err != nil {
		return p, nil, err
	}
	stop := func() {
		in.Close()
		_ = cmd.Wait()
	}
	if err := json.NewDecoder(said).Decode(&p); err != nil {
		stop()
		return p, nil, fmt.Errorf("start what is checked: %w", err)
	}
	return p, stop, nil
}

// runChecks runs the checks in a process of their own on the first processor.
func runChecks(load load, realtime bool) (result, error) {
	var r result
	cmd := exec.Command("/proc/self/exe", "-role", "check", "-checks", strconv.Itoa(load.Checks),
		"-delay-loop", load.DelayLoop.String(), "-for", load.For.String(), "-port", strconv.Itoa(load.Port))
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	var said bytes.Buffer
	cmd.Stdout = &said
	if err := startOn(cmd, 0, realtime); err != nil {
		return r, err
	}
	if err := cmd.Wait(); err != nil {
		return r, err
	}
	return r, json.Unmarshal(said.Bytes(), &r)
}

// startOn starts a program that runs on one processor only, with realtime
// scheduling as the unit file asks for it, or without: a child has what the
// thread has that makes it.
func startOn(cmd *exec.Cmd, processor int, realtime bool) error {
	errs := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		var set unix.CPUSet
		set.Set(processor)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			errs <- fmt.Errorf("run on processor %d: %w", processor, err)
			return
		}
		if realtime {
			attr := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}
			if err := unix.SchedSetAttr(0, attr, 0); err != nil {
				errs <- fmt.Errorf("schedule in real time: %w", err)
				return
			}
		}
		errs <- cmd.Start()
	}()
	return <-errs
}

type row struct {
	name string
	result
}

func document(load load, rows []row) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# What checks cost

Made by `+"`make bench-checks`"+`: %d TCP_CHECK, each of an address of its own of loopback, `+"`delay_loop`"+` %s,
measured for %s after the first two turns, on Linux %s, %d processors, with a load
of %s at the end. The checks run on one processor, with one thread for Go code, and but for the
first row with realtime scheduling (SCHED_RR 1), as the unit file asks for it. CPU is that of the
process, and on loopback has the kernel's work for the other end too. Late is the time from the
moment at which an attempt is due to its start.

| servers | attempts per second | CPU of one processor | late at the median | p99 | at most | under way at most | memory |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
`, load.Checks, load.DelayLoop, load.For, release(), runtime.NumCPU(), systemLoad())
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %.0f | %.1f %% | %s | %s | %s | %d | %d MB |\n", r.name, r.PerSecond, r.CPU*100,
			milliseconds(r.Median), milliseconds(r.P99), milliseconds(r.Max), r.AtOnce, r.Memory>>20)
	}
	b.WriteString(`
The aim with servers that accept is below 25 % of a processor, and below 100 ms at p99. keepalived
is not measured beside it yet: its checkers need a kernel with IPVS.
`)
	return b.String()
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "?"
	}
	return unix.ByteSliceToString(u.Release[:])
}

func systemLoad() string {
	text, err := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	if err != nil {
		return "?"
	}
	return first
}
