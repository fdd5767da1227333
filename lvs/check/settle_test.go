package check

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/internal/run"
)

func TestSettlesCountsAttemptsTurnsAndRetries(t *testing.T) {
	const s = time.Second
	tcp := TCP{Target: Target{Timeout: 3 * s}}
	for _, tt := range []struct {
		name     string
		checker  Checker
		settings Settings
		want     time.Duration
	}{
		{"no retry", tcp, Settings{DelayLoop: 6 * s}, 12 * s},
		{"three retries", tcp, Settings{DelayLoop: 6 * s, Retry: 3, DelayBeforeRetry: 2 * s}, 27 * s},
		{"a slow rise", tcp, Settings{DelayLoop: 6 * s, Rise: 5}, 48 * s},
		{"the defaults", TCP{}, Settings{}, 70 * s},
		{"two urls", HTTP{URLs: make([]URL, 2), Target: Target{Timeout: s}}, Settings{DelayLoop: 6 * s}, 26 * s},
		{"mail", SMTP{Target: Target{Timeout: s}}, Settings{DelayLoop: 6 * s}, 32 * s},
		{"a program", Misc{Command: run.Command{Timeout: 2 * s}}, Settings{DelayLoop: 6 * s}, 16 * s},
		{"a program without a bound", Misc{}, Settings{DelayLoop: 6 * s}, 18 * s},
		{"a file", File{}, Settings{DelayLoop: s}, s},
	} {
		if got := Settles(tt.checker, tt.settings); got != tt.want {
			t.Errorf("%s: Settles = %v, want %v", tt.name, got, tt.want)
		}
	}
}

// server is up or down, and takes its time to answer.
type server struct{ up atomic.Bool }

func (s *server) Check(context.Context) Result {
	up := s.up.Load()
	time.Sleep(rand.N(DefaultTimeout))
	return Result{Up: up}
}

func (*server) String() string { return "server" }

func TestDirectorsAgreeWhenTheirChecksHaveSettled(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 1))
				at := &server{}
				at.up.Store(true)
				settings := Settings{
					DelayLoop: time.Second + time.Duration(r.Int64N(1e10)), DelayBeforeRetry: time.Duration(r.Int64N(4e9)), Retry: r.IntN(4), Rise: r.IntN(4),
				}
				settings.Warmup = settings.DelayLoop
				var sees [3]Verdict
				for i := range sees {
					s := NewScheduler(Options{Report: func(v Verdict) { sees[i] = v }, Random: r.Float64(), Logger: slog.New(slog.DiscardHandler)})
					s.Set([]Spec{{Key: "x", Checker: at, Settings: settings}})
					ctx, cancel := context.WithCancel(t.Context())
					ended := make(chan error)
					go func() { ended <- s.Run(ctx) }()
					defer func() { cancel(); <-ended }()
				}
				for range 20 {
					time.Sleep(Settles(at, settings))
					synctest.Wait()
					for i, v := range sees {
						if !v.Known || v.Up != at.up.Load() {
							t.Errorf("%+v: director %d says known %v, up %v after it has settled; it is up: %v", settings, i, v.Known, v.Up, at.up.Load())
						}
					}
					at.up.Store(!at.up.Load())
				}
			})
		})
	}
}
