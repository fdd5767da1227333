package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// usage is what the processes of one daemon cost over a phase.
type usage struct {
	cpu time.Duration // user and system time of all processes
	pss int           // kB, of all processes, at the end
}

// side is one master with its backups on a network of its own.
type side struct {
	name           string
	watcher        *lab.Watcher
	master, backup *lab.Process
	before         [2]usage // of master and backup
}

func startSide(t lab.T, p program, conf string) *side {
	lan := lab.NewNamed(t, "cost-"+p.name)
	a, b := lan.Node("a"), lan.Node("b")
	s := &side{name: p.name, watcher: lan.Watch()}
	s.backup = p.start(b, conf)
	s.master = p.start(a, conf)
	s.watcher.WantMaster(a, 4, 1, 20*time.Second)
	return s
}

// startClusterSide runs the same instances in a cluster of three, with mesh and
// Raft on a network of their own.
func startClusterSide(t lab.T, conf string) *side {
	lan := lab.NewNamed(t, "cost-cluster")
	a, b, c := lan.Node("a"), lan.Node("b"), lan.Node("c")
	s := &side{name: "haclusterd, one of three members", watcher: lan.Watch()}
	master, backup, third := a.StartMember(lab.Control), b.StartMember(lab.Control), c.StartMember(lab.Control)
	lab.Form(t, conf, master, backup, third)
	s.master, s.backup = master.Process, backup.Process
	s.watcher.WantMaster(a, 4, 1, 20*time.Second)
	for _, d := range []*lab.Daemon{master, backup, third} {
		d.WantAlive(3, 10*time.Second)
	}
	return s
}

// settle waits until a has been the only master of every instance for some
// seconds.
func (s *side) settle(t lab.T, instances int) {
	lab.Want(t, time.Minute, s.name+" settles", func() (string, bool) {
		now := time.Now()
		for id := 1; id <= instances; id++ {
			reigns := s.watcher.Since(now.Add(-3*time.Second)).Reigns(4, id)
			if len(reigns) != 1 || reigns[0].Node != "a" || reigns[0].Count < 2 {
				return fmt.Sprintf("VRID %d: %v", id, reigns), false
			}
		}
		return "", true
	})
}

// cost runs both programs and a cluster at the same time: on each network a is
// MASTER of all instances and b BACKUP.
func cost(t lab.T, out io.Writer, instances int, phase time.Duration) error {
	conf := manyInstances(instances)
	var sides []*side
	for _, p := range programs() {
		sides = append(sides, startSide(t, p, conf))
	}
	sides = append(sides, startClusterSide(t, conf))
	for _, s := range sides {
		s.settle(t, instances)
	}
	lab.During(10 * time.Second) // second bursts of announcements, caches
	begin := time.Now()
	for _, s := range sides {
		s.before = [2]usage{measureTree(s.master), measureTree(s.backup)}
	}
	t.Logf("%d instances, both programs and a cluster, %v", instances, phase)
	lab.During(phase)
	fmt.Fprintf(out, `# Steady cost beside keepalived

%s

%d virtual routers (VRRPv3, IPv4, one address each, one advert a second) on one interface, all
MASTER on one node and all BACKUP on the other; both makes at the same time on networks of
their own, %v after ten seconds of settling. The last row, at the same time too, is a cluster
of three with the default policy (mesh): heartbeats, gossip, Raft and the watch over two
holders are in it; keepalived has no cluster. Processor time is user and system time of all
processes of a daemon, in percent of one core; memory is the PSS of all of them; gaps are those
between adverts of one virtual router in the capture. Made by `+"`make bench-cost`"+`.

| | CPU %% as MASTER | CPU %% as BACKUP | PSS MB as MASTER | PSS MB as BACKUP | gap deviation ms | longest gap ms |
| --- | --- | --- | --- | --- | --- | --- |
`, machine(t), instances, phase)
	for _, s := range sides {
		after := [2]usage{measureTree(s.master), measureTree(s.backup)}
		took := time.Since(begin)
		deviation, longest, err := gaps(s.watcher.Since(begin), instances)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		percent := func(i int) float64 { return 100 * (after[i].cpu - s.before[i].cpu).Seconds() / took.Seconds() }
		fmt.Fprintf(out, "| %s | %.2f | %.2f | %.1f | %.1f | %.3f | %s |\n", s.name, percent(0), percent(1),
			float64(after[0].pss)/1024, float64(after[1].pss)/1024, float64(deviation)/float64(time.Millisecond), milli(longest))
	}
	return nil
}

func manyInstances(n int) string {
	var b strings.Builder
	b.WriteString("global_defs {\n\tvrrp_version 3\n}\n")
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "vrrp_instance VI_%d {\n\tinterface eth0\n\tvirtual_router_id %d\n\t@a priority 150\n\t@b priority 100\n\t@c priority 50\n\t@d priority 40\n\t@e priority 30\n"+
			"\tadvert_int 1\n\tvirtual_ipaddress {\n\t\t198.18.0.%d\n\t}\n}\n", i, i, i)
	}
	return b.String()
}

// gaps are the standard deviation and the maximum of the times between adverts
// of each virtual router; every one must have had one master throughout.
func gaps(view lab.Window, instances int) (deviation, longest time.Duration, err error) {
	var sum, squares float64
	count := 0
	for id := 1; id <= instances; id++ {
		if reigns := view.Reigns(4, id); len(reigns) != 1 || reigns[0].Node != "a" {
			return 0, 0, fmt.Errorf("VRID %d: masters were %v, want a alone", id, reigns)
		}
		adverts := view.Adverts(4, id)
		for i := 1; i < len(adverts); i++ {
			gap := adverts[i].At.Sub(adverts[i-1].At)
			longest = max(longest, gap)
			sum += float64(gap)
			squares += float64(gap) * float64(gap)
			count++
		}
	}
	if count == 0 {
		return 0, 0, fmt.Errorf("no adverts seen")
	}
	mean := sum / float64(count)
	return time.Duration(math.Sqrt(max(0, squares/float64(count)-mean*mean))), longest, nil
}

// measureTree reads what the kernel has counted for a program and its
// descendants.
func measureTree(p *lab.Process) usage {
	var u usage
	for _, pid := range p.Tree() {
		u.cpu += cpuTime(pid)
		u.pss += pss(pid)
	}
	return u
}

// clockTick is the unit of /proc/PID/stat: USER_HZ is 100 on every Linux
// architecture that Go runs on.
const clockTick = time.Second / 100

func cpuTime(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * clockTick
}

func pss(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kb
		}
	}
	return 0
}
