package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"

	"github.com/hacluster/hacluster/e2e/lab"
	"github.com/hacluster/hacluster/e2e/scenario"
)

// cell is one row under one subject, repeated.
type cell struct {
	row     scenario.Scenario
	subject scenario.Subject
	runs    int

	results []scenario.Result // of all runs in which the fault came, broken promises among them
	broken  int               // runs in which a promise was broken
}

func (c *cell) String() string { return fmt.Sprintf("%v, %s", c.row, c.subject) }

// measure runs each cell as often as it says, some at a time, in random order: what
// else the machine does hits all of them alike.
func measure(cells []*cell, parallel int) {
	type run struct {
		*cell
		name string
	}
	var all []run
	for _, c := range cells {
		for range c.runs {
			all = append(all, run{c, fmt.Sprintf("proof%d", len(all))})
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })

	var mu sync.Mutex // of the results and of standard error
	work := make(chan run)
	var workers sync.WaitGroup
	for range parallel {
		workers.Go(func() { // ends when there is no more work
			for c := range work {
				var log bytes.Buffer
				var result scenario.Result
				err := lab.Run(c.name, &log, func(t lab.T) {
					result = scenario.Run(t, c.row, c.subject)
				})
				// The tests' slack is for one run on any machine; here the protocol's
				// own bound is at stake.
				limit := c.row.Promise[c.subject].Takeover
				if err == nil && limit > 0 && result.Counted > limit {
					err = fmt.Errorf("took over after %v, of which %v count, want at most %v", result.Takeover, result.Counted, limit)
				}
				mu.Lock()
				if result.Struck {
					c.results = append(c.results, result)
				}
				if err != nil {
					c.broken++
					fmt.Fprintf(os.Stderr, "--- %v: %v\n%s", c, err, log.Bytes())
				} else {
					fmt.Fprintf(os.Stderr, "%v: E %v, dark %v\n", c, result.E, result.Dark)
				}
				mu.Unlock()
			}
		})
	}
	for _, c := range all {
		work <- c
	}
	close(work)
	workers.Wait()
}
