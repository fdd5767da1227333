package main

import (
	"fmt"
	"os"

	"github.com/hacluster/hacluster/e2e/lab"
)

func main() {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "demo: only root may make network namespaces: sudo make demo")
		os.Exit(1)
	}
	teller := newTeller(os.Stdout, os.Getenv)
	keep := os.Getenv("KEEP") == "1"
	err := lab.Run("demo", os.Stderr, func(t lab.T) {
		stage := &stage{T: t}
		tell(stage, teller)
		stage.left = keep && !t.Failed()
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo: this went wrong:")
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// stage is a lab.T whose things stay when they are to be left running.
type stage struct {
	lab.T
	left bool
}

// Cleanup runs f at the end unless the stage is left as it is.
func (s *stage) Cleanup(f func()) {
	s.T.Cleanup(func() {
		if !s.left {
			f()
		}
	})
}
