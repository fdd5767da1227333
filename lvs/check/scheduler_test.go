package check

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const sec = time.Second

// fake is a checker whose attempts the bench answers.
type fake struct {
	Name  string
	bench *bench
}

func (f fake) String() string { return "FAKE " + f.Name }

func (f fake) Check(ctx context.Context) Result { return f.bench.attempt(ctx, f) }

// fakeProgram is one that counts as a program.
type fakeProgram struct{ fake }

func (fakeProgram) program() {}

// bench runs a scheduler in a bubble, and writes down when what happened.
type bench struct {
	*Scheduler
	mu       sync.Mutex
	start    time.Time
	answer   func(name string, n int) (time.Duration, bool) // of the n-th attempt: how long it takes, and its result
	attempts map[string][]time.Duration
	verdicts []string
	running  int
	most     int // that ran at once
	ended    int // cancelled attempts
	late     time.Duration
}

// inBubble runs f with a scheduler in virtual time, and wants nothing left of it:
// a bubble does not end before its goroutines.
func inBubble(t *testing.T, o Options, answer func(string, int) (time.Duration, bool), f func(*bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{start: time.Now(), answer: answer, attempts: map[string][]time.Duration{}}
		o.Report = b.report
		o.Started = func(_ string, late time.Duration) { b.late = max(b.late, late) }
		o.Logger = slog.New(slog.DiscardHandler)
		b.Scheduler = NewScheduler(o)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()
		f(b)
		cancel()
		if err := <-done; err != context.Canceled {
			t.Errorf("Run = %v, want %v", err, context.Canceled)
		}
		synctest.Wait()
		if b.running != 0 {
			t.Errorf("%d attempts still run after Run has ended", b.running)
		}
	})
}

func (b *bench) attempt(ctx context.Context, f fake) Result {
	b.mu.Lock()
	n := len(b.attempts[f.Name])
	b.attempts[f.Name] = append(b.attempts[f.Name], time.Since(b.start))
	b.running++
	b.most = max(b.most, b.running)
	b.mu.Unlock()
	took, ok := b.answer(f.Name, n)
	select {
	case <-time.After(took):
	case <-ctx.Done():
		ok = false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running--
	if ctx.Err() != nil {
		b.ended++
	}
	if ok {
		return up(f, "fine")
	}
	return down(f, "bad")
}

func (b *bench) report(v Verdict) {
	word := "down"
	if v.Up {
		word = "up"
	}
	if !v.Known {
		word = "?" + word
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.verdicts = append(b.verdicts, fmt.Sprintf("%s %s %s", v.At.Sub(b.start), v.Key, word))
}

// spec is a check at each 6 s, at once, with a retry after 1 s.
func (b *bench) spec(name string, change ...func(*Spec)) Spec {
	s := Spec{Key: name, Checker: fake{name, b}, Settings: Settings{DelayLoop: 6 * sec, DelayBeforeRetry: sec, Retry: 1}}
	for _, f := range change {
		f(&s)
	}
	return s
}

func (b *bench) wantVerdicts(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.verdicts, want) {
		t.Errorf("verdicts:\n%s\nwant:\n%s", strings.Join(b.verdicts, "\n"), strings.Join(want, "\n"))
	}
}

func (b *bench) wantAttempts(t *testing.T, name string, want ...time.Duration) {
	t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.attempts[name], want) {
		t.Errorf("attempts of %s at %v, want %v", name, b.attempts[name], want)
	}
}

// failing answers at once, and fails the attempts from, up to but without to.
func failing(from, to int) func(string, int) (time.Duration, bool) {
	return func(_ string, n int) (time.Duration, bool) { return 0, n < from || n >= to }
}

func TestServerGoesDownAfterItsRetryAndComesUpAtATurn(t *testing.T) {
	inBubble(t, Options{}, failing(1, 4), func(b *bench) {
		b.Set([]Spec{b.spec("web")})
		time.Sleep(25 * sec)
		b.wantAttempts(t, "web", 0, 6*sec, 7*sec, 12*sec, 18*sec, 24*sec)
		b.wantVerdicts(t, "0s web ?up", "0s web up", "7s web down", "18s web up")
	})
}

func TestOneFailureWithAGoodRetryChangesNothing(t *testing.T) {
	inBubble(t, Options{}, failing(1, 2), func(b *bench) {
		b.Set([]Spec{b.spec("web")})
		time.Sleep(13 * sec)
		b.wantAttempts(t, "web", 0, 6*sec, 7*sec, 12*sec)
		b.wantVerdicts(t, "0s web ?up", "0s web up")
	})
}

func TestAlphaIsDownUntilAnAttemptSucceeds(t *testing.T) {
	inBubble(t, Options{}, failing(0, 2), func(b *bench) {
		b.Set([]Spec{b.spec("web", func(s *Spec) { s.Alpha = true })})
		time.Sleep(13 * sec)
		b.wantAttempts(t, "web", 0, 6*sec, 12*sec)
		b.wantVerdicts(t, "0s web ?down", "0s web down", "12s web up")
	})
}

func TestTurnsThatAnAttemptRunsOverAreLeftOut(t *testing.T) {
	slow := func(string, int) (time.Duration, bool) { return 14 * sec, true }
	inBubble(t, Options{}, slow, func(b *bench) {
		b.Set([]Spec{b.spec("web")})
		time.Sleep(37 * sec)
		b.wantAttempts(t, "web", 0, 18*sec, 36*sec)
	})
}

func TestFirstAttemptsAreSpreadOverTheWarmup(t *testing.T) {
	const n = 10000
	inBubble(t, Options{Random: 0.3}, failing(0, 0), func(b *bench) {
		specs := make([]Spec, n)
		for i := range specs {
			specs[i] = b.spec(fmt.Sprint(i), func(s *Spec) { s.Warmup = 6 * sec })
		}
		b.Set(specs)
		time.Sleep(12 * sec)
		synctest.Wait()
		var perTenth [120]int
		for name, at := range b.attempts {
			if len(at) != 2 || at[1]-at[0] != 6*sec {
				t.Fatalf("attempts of %s at %v, want two, 6s apart", name, at)
			}
			perTenth[at[0]/(100*time.Millisecond)]++
		}
		for i, got := range perTenth[:60] {
			if want := n / 60; got < want-3 || got > want+3 {
				t.Errorf("%d first attempts in tenth %d, want about %d", got, i, want)
			}
		}
	})
}

func TestTenThousandChecksThatWaitHaveNoGoroutine(t *testing.T) {
	inBubble(t, Options{}, failing(0, 0), func(b *bench) {
		specs := make([]Spec, 10000)
		for i := range specs {
			specs[i] = b.spec(fmt.Sprint(i), func(s *Spec) { s.Warmup = time.Hour })
		}
		before := runtime.NumGoroutine()
		b.Set(specs)
		synctest.Wait()
		if got := runtime.NumGoroutine() - before; got > 0 {
			t.Errorf("%d more goroutines with 10,000 checks that wait", got)
		}
	})
}

func TestAttemptsAtOnceAreBoundedAndTheRestWaitInOrder(t *testing.T) {
	slow := func(string, int) (time.Duration, bool) { return sec, true }
	inBubble(t, Options{Limit: 2, ProgramLimit: 1}, slow, func(b *bench) {
		var specs []Spec
		for i := range 6 {
			specs = append(specs, b.spec(fmt.Sprint("light", i)))
		}
		for i := range 2 {
			name := fmt.Sprint("program", i)
			specs = append(specs, b.spec(name, func(s *Spec) { s.Checker = fakeProgram{fake{name, b}} }))
		}
		b.Set(specs)
		time.Sleep(5 * sec)
		synctest.Wait()
		if b.most != 3 {
			t.Errorf("%d ran at once, want 3", b.most)
		}
		count := map[time.Duration]int{}
		for _, at := range b.attempts {
			count[at[0]]++
		}
		if count[0] != 3 || count[sec] != 3 || count[2*sec] != 2 {
			t.Errorf("attempts by time %v, want 3, 3, 2", count)
		}
		if b.late != 2*sec {
			t.Errorf("latest start %v late, want 2s", b.late)
		}
	})
}

func TestRemovedCheckEndsItsAttemptAndSaysNothing(t *testing.T) {
	hang := func(string, int) (time.Duration, bool) { return time.Hour, true }
	inBubble(t, Options{}, hang, func(b *bench) {
		b.Set([]Spec{b.spec("gone"), b.spec("stays")})
		time.Sleep(sec)
		b.Set([]Spec{b.spec("stays")})
		synctest.Wait()
		if b.ended != 1 || b.running != 1 {
			t.Errorf("%d attempts ended, %d run; want 1, 1", b.ended, b.running)
		}
		if len(b.entries) != 1 || len(b.turns) != 0 {
			t.Errorf("%d entries, %d turns left; want 1, 0", len(b.entries), len(b.turns))
		}
		b.wantVerdicts(t, "0s gone ?up", "0s stays ?up")
	})
}

func TestUnchangedCheckKeepsItsRhythm(t *testing.T) {
	inBubble(t, Options{}, failing(0, 0), func(b *bench) {
		b.Set([]Spec{b.spec("web")})
		time.Sleep(4 * sec)
		b.Set([]Spec{b.spec("web"), b.spec("new")})
		time.Sleep(3 * sec)
		b.wantAttempts(t, "web", 0, 6*sec)
		b.wantAttempts(t, "new", 4*sec)
	})
}

func TestOtherSettingsKeepTheVerdict(t *testing.T) {
	inBubble(t, Options{}, failing(0, 3), func(b *bench) {
		b.Set([]Spec{b.spec("web")})
		time.Sleep(4 * sec)
		b.Set([]Spec{b.spec("web", func(s *Spec) { s.DelayLoop, s.Rise = 2*sec, 2 })})
		time.Sleep(5 * sec)
		b.wantAttempts(t, "web", 0, sec, 4*sec, 6*sec, 8*sec)
		b.wantVerdicts(t, "0s web ?up", "1s web down", "8s web up")
	})
}

func TestOtherTargetKeepsUpInDoubt(t *testing.T) {
	answer := func(name string, _ int) (time.Duration, bool) { return 0, name == "new" }
	inBubble(t, Options{}, answer, func(b *bench) {
		b.Set([]Spec{b.spec("web")})
		time.Sleep(4 * sec)
		b.Set([]Spec{b.spec("web", func(s *Spec) { s.Checker = fake{"new", b} })})
		time.Sleep(sec)
		b.wantVerdicts(t, "0s web ?up", "1s web down", "4s web ?down", "4s web up")
	})
}

func TestSuspendedCheckRestsAndComesBack(t *testing.T) {
	answer := func(_ string, n int) (time.Duration, bool) { return 2 * sec, n != 1 }
	inBubble(t, Options{}, answer, func(b *bench) {
		suspend := func(s *Spec) { s.Suspended = true }
		b.Set([]Spec{b.spec("web")})
		time.Sleep(7 * sec) // in the second attempt
		b.Set([]Spec{b.spec("web", suspend)})
		time.Sleep(time.Hour)
		b.wantAttempts(t, "web", 0, 6*sec)
		if b.running != 0 {
			t.Errorf("%d attempts run while suspended", b.running)
		}
		b.Set([]Spec{b.spec("web", suspend, func(s *Spec) { s.Retry = 5 })})
		b.Set([]Spec{b.spec("web")})
		time.Sleep(3 * sec)
		b.wantAttempts(t, "web", 0, 6*sec, 7*sec+time.Hour)
		b.wantVerdicts(t, "0s web ?up", "2s web up", "7s web ?up", "1h0m9s web up")
	})
}

// weighted asks for another weight with each attempt.
type weighted struct{ Weights *[]Weight }

func (weighted) String() string { return "WEIGHTED" }

func (w weighted) Check(context.Context) Result {
	r := Result{Up: true, Reason: "fine", Weight: (*w.Weights)[0]}
	*w.Weights = (*w.Weights)[1:]
	return r
}

func TestChangeOfWeightIsReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		s := NewScheduler(Options{
			Report: func(v Verdict) { got = append(got, "<"+v.Weight.String()+">") },
			Logger: slog.New(slog.DiscardHandler),
		})
		weights := []Weight{{}, {WeightSet, 8}, {WeightSet, 8}, {}, {WeightSet, 0}, {WeightAdjust, -3}}
		s.Set([]Spec{{Key: "web", Checker: weighted{&weights}, Settings: Settings{DelayLoop: sec}}})
		ctx, cancel := context.WithTimeout(t.Context(), 5500*time.Millisecond)
		defer cancel()
		_ = s.Run(ctx)
		if want := []string{"<>", "<>", "<8>", "<0>", "<-3>"}; !slices.Equal(got, want) {
			t.Errorf("weights = %v, want %v", got, want)
		}
	})
}

// broken is a checker whose attempts cannot be made for a while.
type broken struct{ Until time.Time }

func (broken) String() string { return "BROKEN" }

func (c broken) Check(context.Context) Result {
	if time.Now().Before(c.Until) {
		return void(c, "no descriptors")
	}
	return down(c, "bad")
}

func TestAttemptThatCannotBeMadeKeepsTheVerdictInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		var log strings.Builder
		s := NewScheduler(Options{
			Report: func(v Verdict) { got = append(got, fmt.Sprintf("up %v, known %v: %s", v.Up, v.Known, v.Reason)) },
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		s.Set([]Spec{{Key: "web", Checker: broken{time.Now().Add(time.Hour - 500*time.Millisecond)}, Settings: Settings{DelayLoop: sec, DelayBeforeRetry: sec, Retry: 1}}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour+1500*time.Millisecond)
		defer cancel()
		_ = s.Run(ctx)
		want := []string{
			"up true, known false: BROKEN: not checked yet",
			"up true, known false: BROKEN: no descriptors",
			"up false, known true: BROKEN: bad",
		}
		if !slices.Equal(got, want) {
			t.Errorf("verdicts:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if n := strings.Count(log.String(), "check cannot be made"); n != 1 {
			t.Errorf("logged %d times, want once", n)
		}
	})
}

func TestEndOfTheSchedulerIsNoFailure(t *testing.T) {
	hang := func(string, int) (time.Duration, bool) { return time.Hour, true }
	var b *bench
	inBubble(t, Options{}, hang, func(inner *bench) {
		b = inner
		b.Set([]Spec{b.spec("a", func(s *Spec) { s.Retry = 0 }), b.spec("b", func(s *Spec) { s.Retry = 0 })})
		time.Sleep(sec)
	})
	if want := []string{"0s a ?up", "0s b ?up"}; !slices.Equal(b.verdicts, want) {
		t.Errorf("verdicts = %v, want %v", b.verdicts, want)
	}
}
