package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// runsRevision finds a daemon's line about a revision that it runs from now on.
var runsRevision = regexp.MustCompile(`time=(\S+) level=INFO msg="revision runs" rev=(\d+)`)

// apply measures the time from the start of an edit command, on each node in
// turn, to the moment at which the last of three nodes runs the revision.
func apply(t lab.T, out io.Writer, edits int) error {
	lan := lab.New(t)
	var members []*lab.Daemon
	for _, name := range []string{"lb01", "lb02", "lb03"} {
		members = append(members, lan.Node(name).StartMember(lab.Control))
	}
	lab.Form(t, `
vrrp_instance VI_1 {
	interface eth0
	virtual_router_id 51
	@lb01 priority 150
	@lb02 priority 120
	@lb03 priority 100
	virtual_ipaddress {
		192.0.2.100
	}
}
`, members...)
	last := members[2]
	lab.Want(t, 20*time.Second, "three nodes run the first revision", func() (string, bool) {
		return last.Log(), !revisionAt(last, 1).IsZero()
	})
	lab.During(5 * time.Second) // elections end

	var everywhere, command []time.Duration
	for i := range edits {
		revision := i + 2
		from := members[i%len(members)]
		begin := time.Now()
		r := from.Ctl("config", "set", "vrrp_instance VI_1", "garp_master_repeat", strconv.Itoa(1+i%5))
		if r.Exit != 0 {
			return fmt.Errorf("edit %d on %s: %v", i, from.Node.Name, r)
		}
		var latest time.Time
		for _, m := range members {
			var at time.Time
			lab.Want(t, 5*time.Second, fmt.Sprintf("%s runs revision %d", m.Node.Name, revision), func() (string, bool) {
				at = revisionAt(m, revision)
				return m.Log(), !at.IsZero()
			})
			if at.After(latest) {
				latest = at
			}
		}
		everywhere = append(everywhere, latest.Sub(begin))
		command = append(command, r.Took)
	}
	slices.Sort(everywhere)
	slices.Sort(command)
	fmt.Fprintf(out, `# From an edit to three nodes that run it

%s

Three members on one machine, mesh and Raft on a network of their own; %d edits of one keyword
by `+"`haclusterctl config set`"+`, on each node in turn. The clock starts with the command and stops
when the last daemon has logged that it runs the revision: check on every node, commit and
application are all in it. The second row is how long the command itself took, until it had
seen all three. Made by `+"`make bench-apply`"+`.

| | median ms | 90 %% ms | worst ms |
| --- | --- | --- | --- |
| running on three nodes | %s | %s | %s |
| the command | %s | %s | %s |
`, machine(t), edits,
		milli(quantile(everywhere, 0.5)), milli(quantile(everywhere, 0.9)), milli(everywhere[len(everywhere)-1]),
		milli(quantile(command, 0.5)), milli(quantile(command, 0.9)), milli(command[len(command)-1]))
	return nil
}

// revisionAt is when a daemon began to run a revision; zero: not yet.
func revisionAt(d *lab.Daemon, revision int) time.Time {
	for _, m := range runsRevision.FindAllStringSubmatch(d.Log(), -1) {
		if n, err := strconv.Atoi(m[2]); err == nil && n == revision {
			at, err := time.Parse(time.RFC3339Nano, m[1])
			if err == nil {
				return at
			}
		}
	}
	return time.Time{}
}

// quantile of sorted values.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(q*float64(len(sorted)-1))]
}
