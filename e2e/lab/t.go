package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
)

// T is what the lab needs of a test; *testing.T is one. Run makes one for a
// program that is no test.
type T interface {
	Helper()
	Name() string
	Cleanup(func())
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
	ArtifactDir() string
}

// Run calls story with a T whose log goes to out, as the test runner would:
// Fatalf ends the story, the functions given to Cleanup run afterwards, last
// one first. The error joins everything that failed.
func Run(name string, out io.Writer, story func(T)) error {
	t := &program{name: name, out: out}
	done := make(chan struct{})
	go func() { // ends with the story; Fatalf ends it by Goexit
		defer close(done)
		defer t.cleanup()
		story(t)
	}()
	<-done
	return errors.Join(t.errs...)
}

// program is the T of Run.
type program struct {
	name string
	out  io.Writer

	mu       sync.Mutex
	errs     []error
	cleanups []func()
	dir      string
}

func (p *program) Helper()      {}
func (p *program) Name() string { return p.name }

func (p *program) Cleanup(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cleanups = append(p.cleanups, f)
}

func (p *program) Logf(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

func (p *program) Errorf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errs = append(p.errs, fmt.Errorf(format, args...))
}

func (p *program) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	runtime.Goexit()
}

func (p *program) Failed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.errs) > 0
}

// ArtifactDir is a directory that stays after a failure and goes otherwise.
func (p *program) ArtifactDir() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dir == "" {
		dir, err := os.MkdirTemp("", "hacluster-"+short(p.name)+"-")
		if err != nil {
			panic(err)
		}
		p.dir = dir
	}
	return p.dir
}

func (p *program) cleanup() {
	for {
		p.mu.Lock()
		n := len(p.cleanups)
		if n == 0 {
			p.mu.Unlock()
			break
		}
		f := p.cleanups[n-1]
		p.cleanups = p.cleanups[:n-1]
		p.mu.Unlock()
		f()
	}
	if p.dir != "" && !p.Failed() {
		os.RemoveAll(p.dir)
	}
}

// pollEvery is the pace of all waits of the lab. What takes long to ask, such as
// a command, is asked less often, so that waiting takes at most a fifth of a
// core: the daemons need the processor more.
const (
	pollEvery = 5 * time.Millisecond
	pollRests = 4           // times as long as the question took
	pollRest  = time.Second // at most: who asks slowly waits, more than it works
)

// Poll calls ok until it reports true or within is over, and returns the last
// report: ok says beside it what it saw, for the message of a failure. Not
// counted is the time by which a rest took longer than it should: the machine
// had no processor then, and no daemon's and no command's word can be expected
// to have been heard.
func Poll(within time.Duration, ok func() (seen string, done bool)) (seen string, done bool) {
	end := time.Now().Add(within)
	for {
		begin := time.Now()
		if seen, done = ok(); done || time.Now().After(end) {
			return seen, done
		}
		asked := time.Now()
		rest := min(max(pollEvery, pollRests*asked.Sub(begin)), pollRest)
		During(rest)
		end = end.Add(time.Since(asked) - rest)
	}
}

// Want fails the story unless ok reports true within the time given.
func Want(t T, within time.Duration, what string, ok func() (seen string, done bool)) {
	t.Helper()
	begin := time.Now()
	if seen, done := Poll(within, ok); !done {
		t.Fatalf("%s: not within %v; seen: %s", what, within, seen)
	}
	Margin(t, what, time.Since(begin), within)
}

// Margin notes in the file that HACLUSTER_MARGINS names, if it names one, how much
// of a bound was taken: a test that takes most of it on a quiet machine will fail on
// another day. sort -rn shows those first.
func Margin(t T, what string, took, limit time.Duration) {
	name := os.Getenv("HACLUSTER_MARGINS")
	if name == "" || limit <= 0 {
		return
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Errorf("lab: margins: %v", err)
		return
	}
	defer file.Close()
	fmt.Fprintf(file, "%.2f %s of %s: %s: %s\n", float64(took)/float64(limit),
		took.Round(time.Millisecond), limit.Round(time.Millisecond), t.Name(), strings.ReplaceAll(what, "\n", " "))
}

// During lets time pass while nothing is done, for stories that say "and then
// nothing happens for so long".
func During(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

// short is a test's name as part of a namespace's name.
func short(name string) string {
	var b strings.Builder
	for _, r := range strings.TrimPrefix(name, "Test") {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case r == '/' || r == ' ' || r == '_':
			b.WriteByte('_')
		}
	}
	return b.String()[:min(b.Len(), 120)]
}
