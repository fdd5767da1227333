// Benchtable turns the output of the gate's benchmarks, from standard input, into
// the table of docs/bench-gate.md: the best run of each, because whatever else a
// machine does only ever adds.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	log.SetFlags(0)
	results, err := read(os.Stdin)
	if err == nil {
		err = write(os.Stdout, results)
	}
	if err != nil {
		log.Fatal("benchtable: ", err)
	}
}

// results has all measurements by benchmark and unit.
type results map[string]map[string][]float64

// read parses lines as `BenchmarkRenew/gate/1-2  236649  1413 ns/op`.
func read(r io.Reader) (results, error) {
	all := make(results)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) > 0 && (words[0] == "FAIL" || words[0] == "---") {
			return nil, fmt.Errorf("the benchmarks failed: %s", lines.Text())
		}
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(words[0], "Benchmark")
		if at := strings.LastIndexByte(name, '-'); at >= 0 {
			name = name[:at]
		}
		if all[name] == nil {
			all[name] = make(map[string][]float64)
		}
		for n := 2; n+1 < len(words); n += 2 {
			value, err := strconv.ParseFloat(words[n], 64)
			if err != nil {
				return nil, fmt.Errorf("read %q: %w", lines.Text(), err)
			}
			all[name][words[n+1]] = append(all[name][words[n+1]], value)
		}
	}
	return all, lines.Err()
}

// best is the least time of a benchmark, or its highest rate; an error names what
// is missing.
func (r results) best(name, unit string) (float64, error) {
	values := r[name][unit]
	switch {
	case len(values) == 0:
		return 0, fmt.Errorf("no measurement of %s in %s", name, unit)
	case unit == rate:
		return slices.Max(values), nil
	default:
		return slices.Min(values), nil
	}
}

// rate is the unit of which more is better.
const rate = "MB/s"

func write(w io.Writer, r results) error {
	var failed error
	get := func(name, unit string) float64 {
		v, err := r.best(name, unit)
		if err != nil && failed == nil {
			failed = err
		}
		return v
	}
	var kernel unix.Utsname
	if err := unix.Uname(&kernel); err != nil {
		return err
	}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err
	}
	load, _, _ = bytes.Cut(load, []byte(" "))
	runs := len(r["Renew/gate/1"]["ns/op"])

	var b strings.Builder
	fmt.Fprintf(&b, "# What the kernel gate costs\n\nMade by `make bench-gate`: the best of %d runs each on Linux %s, %d processors,\nwith a load of %s at the end: what others did in the meantime weighs most on the flows.\n\n",
		runs, unix.ByteSliceToString(kernel.Release[:]), runtime.NumCPU(), load)

	b.WriteString("## To renew\n\nOne round for units that are due together. The gate: two readings of the clock, and one store\n" +
		"for each unit. nftables: arm the slot that is not in force, then switch to it and delete the\n" +
		"other, for all units in two transactions; a lasting netlink connection.\n\n" +
		"| units | gate | two timed slots of nftables | ratio |\n| ---: | ---: | ---: | ---: |\n")
	for _, units := range []string{"1", "255"} {
		ours, theirs := get("Renew/gate/"+units, "ns/op"), get("Renew/nftables/"+units, "ns/op")
		fmt.Fprintf(&b, "| %s | %.1f µs | %.0f µs | %.0f |\n", units, ours/1e3, theirs/1e3, theirs/max(ours, 1))
	}

	b.WriteString("\n## For each packet\n\nThe programs alone, in the kernel's own test run.\n\n" +
		"| packet | in | out |\n| --- | ---: | ---: |\n")
	for _, row := range []struct{ title, name string }{
		{"a frame to another machine: nothing is looked at", "passed_over"},
		{"nothing is held", "no_slot"},
		{"256 units are held, another address", "256_slots,_another_address"},
		{"256 units are held, one of their addresses", "256_slots,_an_open_address"},
	} {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", row.title, packet(r, "in/"+row.name), packet(r, "out/"+row.name))
	}

	b.WriteString("\n## For a flow\n\nBetween two namespaces joined by a veth, to and from an address behind the gate.\n\n" +
		"| flow | without | with the gate |\n| --- | ---: | ---: |\n")
	fmt.Fprintf(&b, "| TCP, one stream | %.2f Gbit/s | %.2f Gbit/s |\n", gigabits(get("Flow/TCP/without", rate)), gigabits(get("Flow/TCP/with", rate)))
	fmt.Fprintf(&b, "| UDP, 64 bytes, time of one datagram for both ends | %.2f µs | %.2f µs |\n",
		get("Flow/UDP/without", "ns/op")/1e3, get("Flow/UDP/with", "ns/op")/1e3)
	if failed != nil {
		return failed
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// packet is one cell.
func packet(r results, name string) string {
	v, err := r.best("Packet/"+name, "ns/packet")
	if err != nil {
		return "" // there is no such packet
	}
	return fmt.Sprintf("%.0f ns", v)
}

func gigabits(megabytes float64) float64 { return megabytes * 8 / 1000 }
