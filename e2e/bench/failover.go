package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

const vrid = 51

// fault is one way to lose a master, and how it comes back.
type fault struct {
	name    string
	goodbye bool // priority 0 is sent, so only Skew_Time passes
	strike  func(a *lab.Node, p *lab.Process)
	restart bool
}

func faults() []fault {
	return []fault{
		{"SIGTERM", true, func(_ *lab.Node, p *lab.Process) { p.Signal(syscall.SIGTERM) }, true},
		{"SIGKILL, all processes", false, func(_ *lab.Node, p *lab.Process) { p.KillAll() }, true},
		{"link cut", false, func(a *lab.Node, _ *lab.Process) { a.CutLink(lab.Service) }, false},
	}
}

// limit is what the protocol prescribes for a successor of priority 100 (RFC
// 5798 section 6.1): Skew_Time after a goodbye, else Master_Down_Interval.
func limit(advert time.Duration, goodbye bool) time.Duration {
	skew := advert * 156 / 256
	if goodbye {
		return skew
	}
	return 3*advert + skew
}

// cell is one row and program of the table.
type cell struct {
	advert  time.Duration
	fault   fault
	program program
	times   []time.Duration
	void    int // runs in which the master had let go before the fault
}

// failover measures each cell. With adverts of 100 ms and more all cells of an
// interval run at once, each on a network of its own, since the daemons then
// hardly use the processor; with 10 ms one fault at a time, both programs.
func failover(t lab.T, out io.Writer, runs int) error {
	var table []*cell
	for _, advert := range []time.Duration{time.Second, 100 * time.Millisecond, 10 * time.Millisecond} {
		var together []*cell
		for _, f := range faults() {
			for _, p := range programs() {
				together = append(together, &cell{advert: advert, fault: f, program: p})
			}
		}
		table = append(table, together...)
		at := len(together)
		if advert < 100*time.Millisecond {
			at = len(programs())
		}
		for batch := range slices.Chunk(together, at) {
			t.Logf("advert interval %v: %d cells, %d runs each", advert, len(batch), runs)
			if err := atOnce(batch, func(t lab.T, c *cell) error { return c.measure(t, runs) }); err != nil {
				return err
			}
		}
	}
	clusters, err := clusterFailover(t, min(runs, clusterRuns))
	if err != nil {
		return err
	}
	writeFailover(t, out, table, runs)
	writeClusterFailover(out, clusters, min(runs, clusterRuns))
	return nil
}

// atOnce measures some cells at the same time, each with a T of its own.
func atOnce[C fmt.Stringer](cells []C, measure func(lab.T, C) error) error {
	errs := make([]error, len(cells))
	var group sync.WaitGroup
	for i, c := range cells {
		group.Go(func() {
			var log bytes.Buffer // of the daemons, when it failed
			err := lab.Run(fmt.Sprintf("bench%d", i), &log, func(t lab.T) {
				if err := measure(t, c); err != nil {
					t.Errorf("%v", err)
				}
			})
			if err != nil {
				errs[i] = fmt.Errorf("%v: %w\n%s", c, err, log.Bytes())
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func (c *cell) String() string {
	return fmt.Sprintf("%s, %v, %s", c.program.name, c.advert, c.fault.name)
}

// measure lets a pair lose its master again and again.
func (c *cell) measure(t lab.T, runs int) error {
	lan := lab.New(t)
	a, b := lan.Node("a"), lan.Node("b")
	w := lan.Watch()
	conf := fmt.Sprintf(`
global_defs {
	vrrp_version 3
}
vrrp_instance VI_1 {
	interface eth0
	virtual_router_id %d
	@a priority 150
	@b priority 100
	advert_int %g
	virtual_ipaddress {
		%v
	}
}
`, vrid, c.advert.Seconds(), vip)
	patience := 10*c.advert + 10*time.Second
	c.program.start(b, conf)
	master := c.program.start(a, conf)
	for len(c.times) < runs {
		w.WantMaster(a, 4, vrid, patience)
		lab.During(2*c.advert + 200*time.Millisecond)

		since := time.Now().Add(-2*c.advert - 100*time.Millisecond)
		c.fault.strike(a, master)
		w.WantMaster(b, 4, vrid, patience)
		// On a machine with other work the master may have let go by itself
		// before the fault, which measures nothing.
		if took, ok := w.Since(since).Takeover(4, vrid, a, b); ok {
			c.times = append(c.times, took.Length())
		} else if c.void++; c.void > runs {
			return fmt.Errorf("no take-over seen: %v", w.Since(since).Reigns(4, vrid))
		}

		if c.fault.restart {
			master.WantExit(patience)
			master = c.program.start(a, conf)
		} else {
			a.RestoreLink(lab.Service)
		}
	}
	return nil
}

func writeFailover(t lab.T, out io.Writer, table []*cell, runs int) {
	fmt.Fprintf(out, `# Fail-over beside keepalived

%s

Two standalone daemons of one make on a bridge, VRRPv3 over IPv4, priorities 150 and 100; %d
runs of each cell, both makes in the same run. Measured from the last advert of the old master
to the first of the new one, by the kernel's time stamps of one capture at the switch. The
limit is the protocol's: Skew_Time after a goodbye, Master_Down_Interval otherwise (RFC 5798
section 6.1). "Late" is the median's distance from it; neither daemon has realtime scheduling
from outside. Made by `+"`make bench-failover`"+`.

| advert | fault | limit ms | haclusterd ms: median (min–max) | late ms | keepalived ms: median (min–max) | late ms |
| --- | --- | --- | --- | --- | --- | --- |
`, machine(t), runs)
	void := 0
	for pair := range slices.Chunk(table, len(programs())) {
		due := limit(pair[0].advert, pair[0].fault.goodbye)
		fmt.Fprintf(out, "| %v | %s | %s |", pair[0].advert, pair[0].fault.name, milli(due))
		for _, c := range pair {
			void += c.void
			times := spread(c.times) // sorts them
			fmt.Fprintf(out, " %s | %+.2f |", times, float64(c.times[len(c.times)/2]-due)/float64(time.Millisecond))
		}
		fmt.Fprintln(out)
	}
	if void > 0 {
		fmt.Fprintf(out, "\nRuns repeated because the master had let go by itself before the fault, for want of a\nprocessor: %d.\n", void)
	}
}

func milli(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)) }
