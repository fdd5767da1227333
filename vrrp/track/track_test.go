package track

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/internal/run"
	"github.com/hacluster/hacluster/vrrp"
)

func TestDamperWaitsForRiseAndFall(t *testing.T) {
	tests := []struct {
		name       string
		rise, fall int
		initFail   bool
		results    string // one letter for each: s success, f failure
		want       string // u up, d down, - unknown, before and after each
	}{
		{name: "the first success counts at once", rise: 3, fall: 3, results: "s", want: "-u"},
		{name: "the first failure counts at once", rise: 3, fall: 3, results: "f", want: "-d"},
		{name: "fall in a row", rise: 1, fall: 3, results: "sfffs", want: "-uuudu"},
		{name: "a success between starts the count anew", rise: 1, fall: 3, results: "sffsfff", want: "-uuuuuud"},
		{name: "rise in a row", rise: 2, fall: 1, results: "fssfs", want: "-ddudd"},
		{name: "zero counts as one", results: "sfs", want: "-udu"},
		{name: "init_fail needs rise successes", rise: 2, fall: 2, initFail: true, results: "ss", want: "ddu"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := NewDamper(test.rise, test.fall, test.initFail)
			state := func() string {
				switch up, known := d.Up(); {
				case !known:
					return "-"
				case up:
					return "u"
				default:
					return "d"
				}
			}
			got := state()
			for _, r := range test.results {
				before := state()
				if changed := d.Add(r == 's'); changed != (state() != before) {
					t.Errorf("after %q: changed = %v", got, changed)
				}
				got += state()
			}
			if got != test.want {
				t.Errorf("states = %s, want %s", got, test.want)
			}
		})
	}
}

// bench runs a tracker in a bubble and writes down when what happened.
type bench struct {
	mu     sync.Mutex
	start  time.Time
	runs   map[string][]time.Duration
	events []string
	check  func(n int, c run.Command) (time.Duration, run.Result) // of the n-th run of a command
}

func (b *bench) report(r vrrp.TrackResult) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, fmt.Sprintf("%s %s up=%v", time.Since(b.start), r.Key, r.Up))
}

func (b *bench) run(ctx context.Context, c run.Command) run.Result {
	b.mu.Lock()
	name := c.Argv[0]
	n := len(b.runs[name])
	b.runs[name] = append(b.runs[name], time.Since(b.start))
	b.mu.Unlock()
	took, r := b.check(n, c)
	if c.Timeout < took {
		took, r = c.Timeout, run.Result{Outcome: run.TimedOut}
	}
	select {
	case <-time.After(took):
		return r
	case <-ctx.Done():
		return run.Result{Outcome: run.Cancelled}
	}
}

func (b *bench) wantEvents(t *testing.T, want ...string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.events, want) {
		t.Errorf("events:\n%s\nwant:\n%s", strings.Join(b.events, "\n"), strings.Join(want, "\n"))
	}
}

func (b *bench) wantRuns(t *testing.T, name string, want ...time.Duration) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.runs[name], want) {
		t.Errorf("runs of %s at %v, want %v", name, b.runs[name], want)
	}
}

// inBubble runs f with a tracker in virtual time.
func inBubble(t *testing.T, check func(int, run.Command) (time.Duration, run.Result), f func(*bench, *Tracker)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{start: time.Now(), runs: map[string][]time.Duration{}, check: check}
		tracker := New(Options{Report: b.report, Run: b.run, Logger: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- tracker.Run(ctx) }()
		f(b, tracker)
		cancel()
		if err := <-done; err != context.Canceled {
			t.Errorf("Run = %v, want %v", err, context.Canceled)
		}
	})
}

const sec = time.Second

func script(name string, change ...func(*Script)) Script {
	s := Script{Name: name, Command: run.Command{Argv: []string{name}}, Interval: sec}
	for _, f := range change {
		f(&s)
	}
	return s
}

var failed = run.Result{Status: 1}

// until advances virtual time to shortly after at.
func (b *bench) until(at time.Duration) { time.Sleep(time.Until(b.start.Add(at + time.Millisecond))) }

func TestResultsAreReportedOnChangeOnly(t *testing.T) {
	inBubble(t, func(n int, _ run.Command) (time.Duration, run.Result) {
		if n >= 2 && n < 5 {
			return 0, failed
		}
		return 0, run.Result{}
	}, func(b *bench, tracker *Tracker) {
		tracker.Set([]Script{script("chk", func(s *Script) { s.Fall = 2 })})
		b.until(6 * sec)
		b.wantEvents(t, "0s script:chk up=true", "3s script:chk up=false", "5s script:chk up=true")
	})
}

func TestARunStillGoingIsNotDoubled(t *testing.T) {
	inBubble(t, func(n int, _ run.Command) (time.Duration, run.Result) {
		if n == 1 {
			return 2500 * time.Millisecond, run.Result{}
		}
		return 0, run.Result{}
	}, func(b *bench, tracker *Tracker) {
		tracker.Set([]Script{script("chk", func(s *Script) { s.Timeout = 5 * sec })})
		b.until(5 * sec)
		b.wantRuns(t, "chk", 0, 1*sec, 4*sec, 5*sec)
	})
}

func TestTimeoutIsAFailureAndTheIntervalByDefault(t *testing.T) {
	inBubble(t, func(int, run.Command) (time.Duration, run.Result) { return time.Hour, run.Result{} },
		func(b *bench, tracker *Tracker) {
			tracker.Set([]Script{
				script("a"),
				script("b", func(s *Script) { s.Timeout = 300 * time.Millisecond }),
			})
			b.until(2 * sec)
			b.wantEvents(t, "305ms script:b up=false", "1s script:a up=false")
		})
}

func TestInitFailIsDownFromTheStart(t *testing.T) {
	inBubble(t, func(int, run.Command) (time.Duration, run.Result) { return 0, run.Result{} },
		func(b *bench, tracker *Tracker) {
			tracker.Set([]Script{script("chk", func(s *Script) { s.InitFail, s.Rise = true, 2 })})
			b.until(2 * sec)
			b.wantEvents(t, "0s script:chk up=false", "1s script:chk up=true")
		})
}

func TestSetKeepsWhatDidNotChange(t *testing.T) {
	fails := func(_ int, c run.Command) (time.Duration, run.Result) {
		if c.Argv[0] == "bad" {
			return 0, failed
		}
		return 0, run.Result{}
	}
	inBubble(t, fails, func(b *bench, tracker *Tracker) {
		slower := func(s *Script) { s.Interval = 2 * sec }
		tracker.Set([]Script{script("same"), script("bad"), script("gone")})
		b.until(1500 * time.Millisecond)
		tracker.Set([]Script{script("same"), script("bad", slower), script("new")})
		b.until(3 * sec)
		b.wantRuns(t, "same", 0, 1*sec, 2*sec, 3*sec)
		b.wantRuns(t, "gone", 10*time.Millisecond, 1010*time.Millisecond)
		b.wantEvents(t,
			"0s script:same up=true", "5ms script:bad up=false", "10ms script:gone up=true",
			"1.501s script:bad up=false", // said again, not measured again
			"1.506s script:new up=true")
	})
}

func TestScriptsDoNotStartAtOnce(t *testing.T) {
	inBubble(t, func(int, run.Command) (time.Duration, run.Result) { return 0, run.Result{} },
		func(b *bench, tracker *Tracker) {
			tracker.Set([]Script{script("a"), script("b"), script("c")})
			b.until(500 * time.Millisecond)
			b.wantRuns(t, "a", 0)
			b.wantRuns(t, "b", spread)
			b.wantRuns(t, "c", 2*spread)
		})
}

func TestUsersScriptsRun(t *testing.T) {
	// USERS.md U3: a process is there, and a maintenance switch.
	down := filepath.Join(t.TempDir(), "down")
	results := make(chan vrrp.TrackResult, 10)
	tracker := New(Options{Report: func(r vrrp.TrackResult) { results <- r }, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- tracker.Run(ctx) }()
	tracker.Set([]Script{
		{Name: "proc", Interval: 20 * time.Millisecond, Timeout: 10 * sec, Command: run.Command{Argv: []string{"sh", "-c", fmt.Sprint("kill -0 ", os.Getpid())}}},
		{Name: "maint", Interval: 20 * time.Millisecond, Timeout: 10 * sec, Command: run.Command{Argv: []string{"sh", "-c", "[ ! -f " + down + " ]"}}},
	})
	want := func(key string, up bool, reason string) {
		t.Helper()
		select {
		case r := <-results:
			if want := (vrrp.TrackResult{Key: key, Up: up, Reason: reason}); r != want {
				t.Errorf("result = %+v, want %+v", r, want)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("no result of %s within 5 s", key)
		}
	}
	first := []string{(<-results).Key, (<-results).Key}
	slices.Sort(first)
	if !slices.Equal(first, []string{"script:maint", "script:proc"}) {
		t.Errorf("first results of %v, want of both", first)
	}
	if err := os.WriteFile(down, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	want("script:maint", false, "exit status 1")
	if err := os.Remove(down); err != nil {
		t.Fatal(err)
	}
	want("script:maint", true, "exit status 0")
	cancel()
	<-done
}
