package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/e2e/lab"
	"github.com/hacluster/hacluster/e2e/scenario"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "proof:", err)
		os.Exit(1)
	}
}

func run() error {
	runs := flag.Int("runs", 20, "runs of each scenario and policy")
	parallel := flag.Int("parallel", 6, "runs at a time")
	only := flag.String("only", "", "rows whose name matches this regular expression; default: the core ones")
	endurance := flag.Bool("endurance", true, "also the rows that take minutes, once each")
	out := flag.String("out", "", "write the table to this file; default: standard output")
	flag.Parse()
	want, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	var cells, long []*cell
	for _, row := range scenario.All() {
		if *only == "" && !row.Core && !row.Long || row.Long && !*endurance || !want.MatchString(row.String()) {
			continue
		}
		for _, subject := range append(scenario.Policies(), scenario.Keepalived) {
			if _, there := row.Promise[subject]; there && row.Long {
				long = append(long, &cell{row: row, subject: subject, runs: 1})
			} else if there {
				c := &cell{row: row, subject: subject, runs: *runs}
				if subject == scenario.Keepalived { // which is not on trial
					c.runs = max(1, *runs/4)
				}
				cells = append(cells, c)
			}
		}
	}
	begin := time.Now()
	measure(cells, *parallel)
	measure(long, len(long)) // at the same time: they hold the processors anyway
	cells = append(cells, long...)
	report := document(cells, *runs, *parallel, machine()+fmt.Sprintf(" It took %v.", time.Since(begin).Round(time.Minute)))
	if *out == "" {
		fmt.Print(report)
	} else if err := os.WriteFile(*out, []byte(report), 0o644); err != nil {
		return err
	}
	broken := 0
	for _, c := range cells {
		broken += c.broken
	}
	if broken > 0 {
		return fmt.Errorf("%d runs broke their promise", broken)
	}
	return nil
}

// machine says where figures were made.
func machine() string {
	var name unix.Utsname
	kernel := "unknown"
	if unix.Uname(&name) == nil {
		kernel = unix.ByteSliceToString(name.Release[:])
	}
	var daemon []byte
	_ = lab.Run("version", os.Stderr, func(t lab.T) { // without a daemon nothing would have been measured
		daemon, _ = exec.Command(lab.Binary(t, "haclusterd"), "--version").Output()
	})
	peer, _ := exec.Command(lab.KeepalivedPath, "--version").CombinedOutput()
	first, _, _ := strings.Cut(string(peer), "\n")
	load, _ := os.ReadFile("/proc/loadavg")
	return fmt.Sprintf("Made %s on %d cores, Linux %s, load averages at the end %s; %s; %s.",
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), kernel,
		strings.Join(strings.Fields(string(load))[:3], ", "), strings.TrimSpace(string(daemon)), first)
}
