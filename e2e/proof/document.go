package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/e2e/scenario"
)

const intro = `# One holder, measured

%s

Each row is a fault of [this table](split-brain.md#faults) under one subject: haclusterd with policy mesh or
quorum, or keepalived with the same priorities under the same fault in the same run; adverts
once a second, %d runs of each (of keepalived a quarter, and one of what takes minutes), %d at
a time, in random order. Every run has machines and
networks of its own: two or three nodes in network namespaces, each on a service network, where
the address lives, and on a control network. All daemons have the realtime scheduling that
their unit gives them.

A third namespace asks for the address every 10 ms in two ways, by ARP and by an echo request
addressed to each node's own MAC, so that a holder is seen that nobody else is led to. What is
said here is computed from one capture at the switch, by the kernel's time stamps.

- **E** is the longest time for which two nodes answered while the fault lasted, "healed" from
  the moment it was taken back: the worst of all runs. One answer of a second node counts as 10 ms.
- **dark** is the longest time for which nobody answered while the fault lasted.
- **advert** is from the last advert of the first holder to the first one of the second, where
  the address moved from one to the other.
- **alert** is from the fault (F7: from its end) to the last of the alerts that the row promises,
  as haclusterctl tells them; "–" where it promises none.
- **kept** is in how many runs everything held that the row promises: the bounds of E and of
  darkness, who holds at the end, how often the address moved, the alerts, and what haclusterctl
  status says; after a loss of power also that "advert" is Master_Down_Interval and 50 ms at most.
  Of a time that is too long, the part is left out, up to a second, in which a thread of the
  daemons' priority had to wait for a processor or the kernel. keepalived is measured and not judged.

| fault | subject | E ms | E healed ms | dark ms: median (max) | advert ms: median (max) | alert ms: median (max) | kept |
| --- | --- | --- | --- | --- | --- | --- | --- |
`

const outro = `
## What is not promised

- Policy mesh has no bound for two nodes that nothing connects (F7 without a witness), only for the
  time after they hear each other again. In F4 its holder lets go by itself (R5) when members and
  gateway fall silent together; one that gets no processor at that moment answers until its kernel
  gate closes, two advert intervals after its last advert.
- keepalived has no second channel: where adverts do not arrive, or its processes end without
  removing their addresses, two machines answer until somebody acts.
- A copy of a machine is refused when its daemon starts (F30). One that has the hardware address as
  well, or comes onto the network after its daemon began, is not: in policy mesh both hold then, and
  in policy quorum one of them does.
- A namespace has no wall clock of its own, so in F19 (TestF19WallClocksSteppedByHours) two daemons are
  built with another function that reads it, which is stepped. Monotonic clocks that differ by days are
  the kernel's (TestF19MachinesBootedAtOtherTimes).

The other rows of the table, F1 to F30, run once each in make test: TestScenario and the tests named
after them in e2e.
`

func document(cells []*cell, runs, parallel int, machine string) string {
	var b strings.Builder
	fmt.Fprintf(&b, intro, machine, runs, parallel)
	for _, c := range cells {
		var e, healed time.Duration
		var dark, advert, alerts []time.Duration
		for _, r := range c.results {
			e, healed = max(e, r.E), max(healed, r.HealE)
			dark = append(dark, r.Dark)
			if r.TookOver {
				advert = append(advert, r.Takeover)
			}
			if r.Alerted {
				alerts = append(alerts, r.Alert)
			}
		}
		kept := fmt.Sprintf("%d of %d", c.runs-c.broken, c.runs)
		if c.subject == scenario.Keepalived {
			kept = fmt.Sprintf("(%d runs)", len(c.results))
		}
		back := "–"
		if c.row.Heal != nil {
			back = milli(healed)
		}
		fmt.Fprintf(&b, "| %v | %s | %s | %s | %s | %s | %s | %s |\n", c.row, c.subject, milli(e), back, spread(dark), spread(advert), spread(alerts), kept)
	}
	repeated := 0
	for _, c := range cells {
		for _, r := range c.results {
			repeated += r.Repeated
		}
	}
	if repeated > 0 {
		fmt.Fprintf(&b, "\n%d runs were repeated: a thread of the daemons' priority had no processor, or waited in the kernel,\nfor a quarter of a second, and something came too late. Two holders would have counted all the same.\n", repeated)
	}
	b.WriteString(outro)
	return b.String()
}

// spread is the median and the largest of some times.
func spread(times []time.Duration) string {
	if len(times) == 0 {
		return "–"
	}
	slices.Sort(times)
	return fmt.Sprintf("%s (%s)", milli(times[len(times)/2]), milli(times[len(times)-1]))
}

func milli(d time.Duration) string { return fmt.Sprintf("%.0f", float64(d)/float64(time.Millisecond)) }
