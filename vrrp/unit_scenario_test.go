package vrrp

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the recorded scenarios in testdata")

// Each file of testdata is a script, a line of dashes and what comes of it.
//
//	router NAME ADDRESS OPTION...     a router that starts now; with lans=2 it is a sync group
//	run DURATION                      lets time pass
//	kill NAME | start NAME | stop NAME
//	pause NAME DURATION               the process does not run, and is told so afterwards
//	cut FROM TO [LAN] | heal          packets from FROM no longer reach TO
//	script NAME up|down               the result of the script that it tracks
//	source NAME none|ADDRESS
//	claim-failed NAME RETRY
//	hold NAME DURATION RANK | unhold NAME
//	takeover NAME DELAY | yield NAME TENURE [SUCCESSOR] | members NAME OTHER... | reannounce NAME
//	wants NAME                        prints UnitStatus.Wants
//	verbose                           prints packets and addresses too
func TestScenariosGoAsRecorded(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			script, want, _ := strings.Cut(string(data), "----\n")
			got := play(t, script)
			if *update {
				if err := os.WriteFile(file, []byte(script+"----\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-recorded +now; -update rewrites it):\n%s", file, diff)
			}
		})
	}
}

func play(t *testing.T, script string) string {
	n := &network{t: t, now: epoch, cuts: make(map[[3]string]bool)}
	for line := range strings.Lines(script) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		n.command(words[0], words[1:])
	}
	return n.trace.String()
}

func (n *network) command(verb string, args []string) {
	switch verb {
	case "run":
		n.run(n.duration(args[0]))
		return
	case "verbose":
		n.traceIO = true
		return
	case "cut":
		for lan := 1; lan <= 2; lan++ {
			if len(args) < 3 || args[2] == strconv.Itoa(lan) {
				n.cuts[[3]string{args[0], args[1], strconv.Itoa(lan)}] = true
			}
		}
		return
	case "heal":
		clear(n.cuts)
		return
	case "router":
		n.add(args[0], args[1:])
		return
	}

	r, args := n.router(args[0]), args[1:]
	switch verb {
	case "kill":
		r.dead = true
	case "start":
		n.boot(r)
	case "stop":
		n.step(r, Shutdown{Reason: "stopped"})
		r.dead = true
	case "pause":
		d := n.duration(args[0])
		r.until = n.now.Add(d)
		n.run(d - latency)
		n.now = n.now.Add(latency)
		n.step(r, Paused{For: d})
	case "script":
		n.step(r, TrackResult{Key: "script:chk", Up: args[0] == "up", Reason: "exit status 1"})
	case "source":
		addr, _ := netip.ParseAddr(args[0])
		n.step(r, SourceChanged{Instance: "VI_1", Source: addr})
	case "claim-failed":
		n.step(r, ClaimFailed{Instance: "VI_1", Reason: "add 192.0.2.100/32: no such device", Retry: n.duration(args[0])})
	case "hold":
		n.step(r, Hold{Until: n.now.Add(n.duration(args[0])), Rank: n.duration(args[1]), Reason: "n1 claims VI_1"})
	case "unhold":
		n.step(r, Hold{})
	case "takeover":
		n.step(r, TakeOver{After: n.duration(args[0]), Reason: "n1 has released VI_1"})
	case "yield":
		tenure, _ := strconv.ParseUint(args[0], 10, 64)
		n.step(r, Yield{Tenure: tenure, Successor: strings.Join(args[1:], ""), Reason: "drain"})
	case "reannounce":
		n.step(r, Reannounce{})
	case "members":
		var addrs []netip.Addr
		for _, name := range args {
			addrs = append(addrs, n.router(name).addrs...)
		}
		n.step(r, Members{Addrs: addrs})
	case "wants":
		n.note(r, true, fmt.Sprintf("wants %q", r.unit.Status().Wants))
	default:
		n.t.Fatalf("unknown command %q", verb)
	}
}

func (n *network) duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		n.t.Fatal(err)
	}
	return d
}
