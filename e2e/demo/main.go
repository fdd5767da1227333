package main

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

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
		go stage.clearOnInterrupt() // ends with the program
		left := false
		t.Cleanup(func() {
			if !left {
				stage.clear()
			}
		})
		tell(stage, teller)
		left = keep && !t.Failed()
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo: this went wrong:")
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// stage is a lab.T that can be cleared early, or left as it is.
type stage struct {
	lab.T

	clearing sync.Mutex // held while things are put away

	mu       sync.Mutex
	cleanups []func()
}

// Cleanup keeps f for clear.
func (s *stage) Cleanup(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanups = append(s.cleanups, f)
}

// clear puts everything away, what came last first.
func (s *stage) clear() {
	s.clearing.Lock()
	defer s.clearing.Unlock()
	for {
		s.mu.Lock()
		n := len(s.cleanups)
		if n == 0 {
			s.mu.Unlock()
			return
		}
		f := s.cleanups[n-1]
		s.cleanups = s.cleanups[:n-1]
		s.mu.Unlock()
		f()
	}
}

// clearOnInterrupt puts everything away when somebody has seen enough.
func (s *stage) clearOnInterrupt() {
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	<-interrupted
	fmt.Fprintln(os.Stderr, "\ndemo: interrupted; the machines are put away")
	s.clear()
	os.RemoveAll(s.ArtifactDir())
	os.Exit(130)
}
