package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"
)

func main() {
	out := flag.String("out", "", "the document to write; empty: to standard output")
	n := flag.Int("services", 10_000, "services of two servers each")
	rounds := flag.Int("rounds", 3, "of everything")
	load := flag.String("load", "", "the load of the host, which a guest does not see")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	if err := run(ctx, *n, *rounds, *load, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, n, rounds int, load, out string) error {
	var r results
	for round := range rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, rounds)
		for _, m := range []struct {
			name string
			run  func(context.Context, int, *results) error
		}{
			{"hacluster", ours}, {"moby/ipvs", byMoby}, {"ipvsadm", byIpvsadm}, {"keepalived", byKeepalived},
		} {
			begin := time.Now()
			if err := inNamespace(func() error { return m.run(ctx, n, &r) }); err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "  %s: done after %.1f s\n", m.name, time.Since(begin).Seconds())
		}
	}
	text := r.document(n, rounds, load)
	if out == "" {
		fmt.Print(text)
		return nil
	}
	return os.WriteFile(out, []byte(text), 0o644)
}

// results are what was measured, one value for each round unless said.
type results struct {
	program, validate, change, restart []time.Duration // ours; change has many a round
	changeOps, restartOps              uint64          // the most of any round
	memory                             []int           // of our process after the first programming, KiB

	moby, restore, save []time.Duration
	kaStart, kaReload   []time.Duration // reload has several a round
	kaMemory            []int
}

func median[T int | time.Duration](values []T) T {
	s := slices.Sorted(slices.Values(values))
	if len(s) == 0 {
		return 0
	}
	return s[len(s)/2]
}
