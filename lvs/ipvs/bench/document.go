package main

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// document says what was measured.
func (r *results) document(n, rounds int, load string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Programming IPVS\n")
	line("Made by `make bench-lvs`: %d services of two servers each (NAT, wlc, no checkers), medians of", n)
	line("%d rounds in one boot of a user-mode-linux guest (%s, one processor)%s.", rounds, release(), onLoad(load))
	line("Each program has a network namespace of its own, and after each the whole table is read and")
	line("compared. The guest's system calls are some 90 times as dear as the host's, so that batching gains")
	line("more there than on iron: compare within the table, and with no other machine.\n")

	best := median(r.program)
	line("## The first programming\n")
	line("| | time | times hacluster's |")
	line("| --- | ---: | ---: |")
	line("| hacluster: from what is wanted to the kernel, journal included | %s | 1 |", seconds(best))
	line("| moby/ipvs 1.1.0, one call after the other | %s | %s |", seconds(median(r.moby)), ratio(r.moby, best))
	line("| `ipvsadm --restore` | %s | %s |", seconds(median(r.restore)), ratio(r.restore, best))
	line("| keepalived 2.2.7, start to \"Startup complete\" | %s | %s |\n", seconds(median(r.kaStart)), ratio(r.kaStart, best))
	line("Before that, to validate all of it takes %s.\n", millis(median(r.validate)))

	best = median(r.change)
	line("## One weight of one server\n")
	line("| | time | longest | times hacluster's |")
	line("| --- | ---: | ---: | ---: |")
	line("| hacluster: a whole new revision, %d operation | %s | %s | 1 |", r.changeOps, millis(best), millis(longest(r.change)))
	line("| keepalived 2.2.7: reload, until the kernel has the weight | %s | %s | %s |\n", millis(median(r.kaReload)), millis(longest(r.kaReload)), ratio(r.kaReload, best))

	line("## A restart, with the table already right\n")
	line("| | time | written |")
	line("| --- | ---: | ---: |")
	line("| hacluster: journal and table read, all compared | %s | %d |", seconds(median(r.restart)), r.restartOps)
	line("| `ipvsadm -Sn`, which only reads | %s | 0 |\n", seconds(median(r.save)))
	line("keepalived removes its services when it stops, so it has to program all of them again.\n")

	line("## Memory\n")
	line("| | resident |")
	line("| --- | ---: |")
	line("| hacluster: this program after the first programming (first round) | %d MB |", r.memory[0]>>10)
	line("| keepalived 2.2.7: its checker process | %d MB |", median(r.kaMemory)>>10)
	return b.String()
}

func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "Linux"
	}
	return "Linux " + unix.ByteSliceToString(u.Release[:])
}

// onLoad is what else the host did.
func onLoad(load string) string {
	if load == "" {
		return ""
	}
	return ",\non a host with a load of " + load + " at the start"
}

func longest(values []time.Duration) (most time.Duration) {
	for _, v := range values {
		most = max(most, v)
	}
	return most
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

func ratio(values []time.Duration, of time.Duration) string {
	return fmt.Sprintf("%.0f", float64(median(values))/float64(of))
}
