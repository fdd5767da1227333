package main

import (
	"fmt"
	"io"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// members is the size of the cluster whose heartbeats are weighed.
const members = 5

// heartbeats measures what membership costs: the same instances on the same
// nodes in a cluster of five and in five standalone daemons, at the same time.
// What the cluster takes more is heartbeats, gossip, Raft, and the arbiter that
// reads them.
func heartbeats(t lab.T, out io.Writer, instances int, phase time.Duration) error {
	conf := manyInstances(instances)
	names := []string{"a", "b", "c", "d", "e"}[:members]
	var alone, together []*lab.Process
	lan := lab.NewNamed(t, "alone")
	watchAlone := lan.Watch()
	for _, name := range names {
		alone = append(alone, lan.Node(name).StartStandalone(conf).Process)
	}
	lan = lab.NewNamed(t, "together")
	watchTogether := lan.Watch()
	var cluster []*lab.Daemon
	for _, name := range names {
		d := lan.Node(name).StartMember(lab.Control)
		cluster = append(cluster, d)
		together = append(together, d.Process)
	}
	lab.Form(t, conf, cluster...)
	for _, d := range cluster {
		d.WantAlive(members, 20*time.Second)
	}
	(&side{name: "five standalone", watcher: watchAlone}).settle(t, instances)
	(&side{name: "a cluster of five", watcher: watchTogether}).settle(t, instances)
	lab.During(10 * time.Second)

	sides := [][]*lab.Process{alone, together}
	var before, after [2][members]usage
	begin := time.Now()
	read := func(into *[2][members]usage) {
		for s, processes := range sides {
			for i, p := range processes {
				into[s][i] = measureTree(p)
			}
		}
	}
	read(&before)
	t.Logf("%d instances on %d nodes, standalone and as a cluster, %v", instances, members, phase)
	lab.During(phase)
	read(&after)
	took := time.Since(begin)
	percent := func(s, i int) float64 { return 100 * (after[s][i].cpu - before[s][i].cpu).Seconds() / took.Seconds() }

	fmt.Fprintf(out, `# What heartbeats cost

%s

%d virtual routers (VRRPv3, IPv4, one advert a second) on each of %d nodes, all MASTER on the
first; as a cluster with policy mesh and as standalone daemons, at the same time on networks of
their own, %v after ten seconds of settling. Processor time is user and system time of all
processes of a daemon, in percent of one core. What the cluster takes more pays for heartbeats,
gossip, Raft and the watch over two holders. Made by `+"`make bench-heartbeats`"+`.

| node | standalone CPU %% | in the cluster CPU %% | more |
| --- | --- | --- | --- |
`, machine(t), instances, members, phase)
	for i, name := range names {
		role := "BACKUP"
		if i == 0 {
			role = "MASTER"
		}
		fmt.Fprintf(out, "| %s, %s | %.2f | %.2f | %.2f |\n", name, role, percent(0, i), percent(1, i), percent(1, i)-percent(0, i))
	}
	return nil
}
