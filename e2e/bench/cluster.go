package main

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// clusterRuns bounds the second table: three daemons and their returns take
// longer than a pair's.
const clusterRuns = 5

// vip is the address that clients of the cluster table ask for.
var vip = netip.MustParseAddr("192.0.2.100")

// clusterCell is one row of the table of clusters.
type clusterCell struct {
	advert   time.Duration
	fault    fault
	takeover []time.Duration // last advert of the old master to the first of the new one
	dark     []time.Duration // longest time without an answer, by ARP or echo
	two      time.Duration   // longest time with two answers, over all runs
}

// clusterFailover measures clusters of three: the cells of one interval at
// once, each on networks of its own.
func clusterFailover(t lab.T, runs int) ([]*clusterCell, error) {
	var table []*clusterCell
	for _, advert := range []time.Duration{time.Second, 100 * time.Millisecond} {
		var together []*clusterCell
		for _, f := range faults() {
			together = append(together, &clusterCell{advert: advert, fault: f})
		}
		table = append(table, together...)
		t.Logf("advert interval %v, clusters of three: %d cells, %d runs each", advert, len(together), runs)
		err := atOnce(together, func(t lab.T, c *clusterCell) error { return c.measure(t, runs) })
		if err != nil {
			return nil, err
		}
	}
	return table, nil
}

func (c *clusterCell) String() string { return fmt.Sprintf("cluster, %v, %s", c.advert, c.fault.name) }

// measure lets a cluster lose its master again and again. The mesh has a
// network of its own, which no fault touches.
func (c *clusterCell) measure(t lab.T, runs int) error {
	lan := lab.New(t)
	a, b, third := lan.Node("a"), lan.Node("b"), lan.Node("c")
	w := lan.Watch(vip)
	master := a.StartMember(lab.Control)
	others := []*lab.Daemon{b.StartMember(lab.Control), third.StartMember(lab.Control)}
	members := append(others, master)
	lab.Form(t, fmt.Sprintf(`
global_defs {
	vrrp_version 3
}
vrrp_instance VI_1 {
	interface eth0
	virtual_router_id %d
	@a priority 150
	@b priority 100
	@c priority 50
	advert_int %g
	virtual_ipaddress {
		%v
	}
}
`, vrid, c.advert.Seconds(), vip), master, others[0], others[1])
	// One that returns proves its health for three Master_Down_Intervals.
	patience := 15*c.advert + 15*time.Second
	for range runs {
		w.WantMaster(a, 4, vrid, patience)
		w.WantHolder(a, vip, patience)
		for _, m := range members {
			m.WantAlive(len(members), patience)
		}
		lab.During(2*c.advert + time.Second)

		begin := time.Now()
		c.fault.strike(a, master.Process)
		w.WantHolder(b, vip, patience)
		lab.During(100 * time.Millisecond) // the answers are seen, then counted
		took, ok := w.Since(begin.Add(-2*c.advert-100*time.Millisecond)).Takeover(4, vrid, a, b)
		if !ok {
			return fmt.Errorf("no take-over seen: %v", w.Since(begin.Add(-5*time.Second)).Reigns(4, vrid))
		}
		c.takeover = append(c.takeover, took.Length())
		c.dark = append(c.dark, w.Since(begin.Add(-100*time.Millisecond)).Dark(vip))
		c.two = max(c.two, w.Since(begin).E(vip))

		if c.fault.restart {
			master.WantExit(patience)
			master.Restart()
		} else {
			a.RestoreLink(lab.Service)
		}
	}
	return nil
}

func writeClusterFailover(out io.Writer, table []*clusterCell, runs int) {
	fmt.Fprintf(out, `
## Clusters of three

The same faults strike the holder in a cluster of three haclusterd with the default policy
(mesh), priorities 150, 100 and 50; mesh and Raft have a network of their own, "link cut" is
that of the network of the virtual address. %d runs of each cell. The take-over is measured as
above; "dark" is the longest time for which a client that asks every 10 ms by ARP and by echo
had no answer, "two" the longest time for which two nodes answered in any of the runs. The fault comes some ten milliseconds after an advert: the mesh
tells of a cut link, and that time is most of the take-over then. There is no column beside it:
keepalived has no cluster.

| advert | fault | protocol's limit ms | take-over ms: median (min–max) | dark ms: median (min–max) | two ms: worst |
| --- | --- | --- | --- | --- | --- |
`, runs)
	for _, c := range table {
		fmt.Fprintf(out, "| %v | %s | %s | %s | %s | %s |\n", c.advert, c.fault.name,
			milli(limit(c.advert, c.fault.goodbye)), spread(c.takeover), spread(c.dark), milli(c.two))
	}
}

// spread is the median and the range of some times.
func spread(times []time.Duration) string {
	slices.Sort(times)
	return fmt.Sprintf("%s (%s–%s)", milli(times[len(times)/2]), milli(times[0]), milli(times[len(times)-1]))
}
