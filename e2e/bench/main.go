package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/e2e/lab"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("which one? failover, cost, heartbeats or apply")
	}
	flags := flag.NewFlagSet("bench "+args[0], flag.ContinueOnError)
	out := flags.String("out", "", "write the table to this file; default: standard output")
	var report bytes.Buffer
	var story func(lab.T) error
	switch args[0] {
	case "failover":
		runs := flags.Int("runs", 11, "runs of each cell")
		story = func(t lab.T) error { return failover(t, &report, *runs) }
	case "cost":
		phase := flags.Duration("time", time.Minute, "length of each phase")
		instances := flags.Int("instances", 255, "virtual routers, 1 to 255")
		story = func(t lab.T) error { return cost(t, &report, *instances, *phase) }
	case "heartbeats":
		phase := flags.Duration("time", time.Minute, "length of the phase")
		instances := flags.Int("instances", 255, "virtual routers, 1 to 255")
		story = func(t lab.T) error { return heartbeats(t, &report, *instances, *phase) }
	case "apply":
		edits := flags.Int("edits", 60, "number of edits")
		story = func(t lab.T) error { return apply(t, &report, *edits) }
	default:
		return fmt.Errorf("no benchmark is called %q; failover, cost, heartbeats or apply", args[0])
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	err := lab.Run("bench-"+args[0], os.Stderr, func(t lab.T) {
		if err := story(t); err != nil {
			t.Errorf("%v", err)
		}
	})
	if err != nil {
		return err
	}
	if *out == "" {
		_, err = os.Stdout.Write(report.Bytes())
		return err
	}
	fmt.Fprintln(os.Stderr, "written to", *out)
	return os.WriteFile(*out, report.Bytes(), 0o644)
}

// machine says where figures were made.
func machine(t lab.T) string {
	var name unix.Utsname
	kernel := "unknown"
	if unix.Uname(&name) == nil {
		kernel = unix.ByteSliceToString(name.Release[:])
	}
	daemon, _ := exec.Command(lab.Binary(t, "haclusterd"), "--version").Output()
	peer, _ := exec.Command(lab.KeepalivedPath, "--version").CombinedOutput()
	first, _, _ := strings.Cut(string(peer), "\n")
	load, _ := os.ReadFile("/proc/loadavg")
	minute, _, _ := strings.Cut(string(load), " ")
	return fmt.Sprintf("Made %s on %d cores, Linux %s, load average of the last minute at the end %s; %s; %s.",
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), kernel, minute, strings.TrimSpace(string(daemon)), first)
}

// program is one of the two daemons.
type program struct {
	name  string
	start func(n *lab.Node, conf string) *lab.Process
}

func programs() []program {
	return []program{
		{"haclusterd", func(n *lab.Node, conf string) *lab.Process { return n.StartStandalone(conf).Process }},
		{"keepalived", func(n *lab.Node, conf string) *lab.Process { return n.StartKeepalived(conf) }},
	}
}
