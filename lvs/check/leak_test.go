package check

import (
	"context"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/run"
)

// resources counts what a process may leave behind.
type resources struct{ goroutines, descriptors int }

func count(t *testing.T) resources {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return resources{runtime.NumGoroutine(), len(open)}
}

// wantNothingLeft runs f as a subtest and waits until what it took is given back.
func wantNothingLeft(t *testing.T, f func(*testing.T)) {
	t.Helper()
	fullBacklog(t) // the poller's descriptors are made with the first socket
	before := count(t)
	t.Run("run", f)
	var after resources
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if after = count(t); after.goroutines <= before.goroutines && after.descriptors <= before.descriptors {
			return
		}
	}
	stacks := make([]byte, 1<<16)
	t.Errorf("%+v after, %+v before\n%s", after, before, stacks[:runtime.Stack(stacks, true)])
}

// everyChecker has one of each kind against a good server, and against several
// bad ones.
func everyChecker(t *testing.T) []Checker {
	t.Helper()
	config := serverConfig(t)
	fast := brief / 10
	hung := serve(t, hold).within(fast)
	root := []URL{{Path: "/"}}
	checkers := []Checker{
		Ping{Target{Addr: nobody(t).Addr, Timeout: patience}},
		UDP{Target: servePackets(t, func(b []byte) []byte { return b }), MaxReply: DefaultMaxReply, RequireReply: true},
		DNS{Target: servePackets(t, func([]byte) []byte { return nil }).within(fast)},
		SMTP{Target: serve(t, mail(nil, "220 mx\r\n", "250 hello\r\n", "221 bye\r\n"))},
		TCP{serve(t, func(net.Conn) {})},
		HTTP{Target: serve(t, web(page("hello"))), URLs: root},
		HTTP{Target: serve(t, secure(config, web(page("hello")))), URLs: root, TLS: &TLS{}},
		HTTP{Target: serveHTTP2(t, config.Certificates...), URLs: root, TLS: &TLS{}, Protocol: HTTP2},
		HTTP{Target: serveHTTP2(t), URLs: root, Protocol: HTTP2},
		Misc{Command: run.Command{Argv: []string{"true"}, Timeout: patience}},
		Misc{Command: run.Command{Argv: []string{"sleep", "60"}, Timeout: fast}},
		File{Path: "/etc/hostname"},
		TCP{fullBacklog(t).within(fast)},
	}
	for _, bad := range []Target{hung, nobody(t), serve(t, func(c net.Conn) { flood(c, "x") }), serve(t, func(net.Conn) {})} {
		checkers = append(checkers, SMTP{Target: bad}, UDP{Target: bad}, DNS{Target: bad.within(fast)}, HTTP{Target: bad, URLs: root},
			HTTP{Target: bad, URLs: root, TLS: &TLS{}}, HTTP{Target: bad, URLs: root, Protocol: HTTP2}, HTTP{Target: bad, URLs: root, TLS: &TLS{}, Protocol: HTTP2})
	}
	return checkers
}

func TestChecksLeaveNothingBehind(t *testing.T) {
	wantNothingLeft(t, func(t *testing.T) {
		for _, c := range everyChecker(t) {
			for range 3 {
				if r := c.Check(t.Context()); r.Reason == "" {
					t.Errorf("%s: no reason", c)
				}
			}
		}
	})
}

func TestCancelledChecksLeaveNothingBehind(t *testing.T) {
	wantNothingLeft(t, func(t *testing.T) {
		for _, c := range everyChecker(t) {
			for _, after := range []time.Duration{0, time.Millisecond, 10 * time.Millisecond} {
				ctx, cancel := context.WithTimeout(t.Context(), after)
				c.Check(ctx)
				cancel()
			}
		}
	})
}

func TestSchedulerThatIsChangedUnderWayLeavesNothingBehind(t *testing.T) {
	wantNothingLeft(t, func(t *testing.T) {
		reported := make(chan Verdict, 10000)
		s := NewScheduler(Options{Report: func(v Verdict) { reported <- v }, Logger: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		var specs []Spec
		for i, c := range everyChecker(t) {
			settings := Settings{DelayLoop: 20 * time.Millisecond, Retry: 1}
			specs = append(specs, Spec{Key: strconv.Itoa(i), Checker: c, Settings: settings})
		}
		known := 0
		for round := 0; round < 20 || known < 20; round++ {
			// Another third is gone, suspended, or there.
			given := make([]Spec, 0, len(specs))
			for i, spec := range specs {
				spec.Suspended = (i+round)%3 == 1
				if (i+round)%3 != 0 {
					given = append(given, spec)
				}
			}
			s.Set(given)
			for quiet := false; !quiet; {
				select {
				case v := <-reported:
					if v.Known {
						known++
					}
				case <-time.After(10 * time.Millisecond):
					quiet = true
				}
			}
		}
		cancel()
		if err := <-done; err != context.Canceled {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestWhatAServerSendsIsNotKept(t *testing.T) {
	const most = 1 << 20 // of all that is allocated, in the server too, not only at once
	root := URL{Path: "/", Digest: digest("")}
	pattern, err := CompilePattern("never", nil)
	if err != nil {
		t.Fatal(err)
	}
	endless := serve(t, func(c net.Conn) {
		web("HTTP/1.1 200 OK\r\n\r\n")(c)
		flood(c, strings.Repeat("junk ", 10))
	})
	tests := map[string]Checker{
		"body":    HTTP{Target: endless, URLs: []URL{root}},
		"pattern": HTTP{Target: endless, URLs: []URL{{Path: "/", Pattern: pattern}}},
		"header":  HTTP{Target: serve(t, func(c net.Conn) { flood(c, "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n") }), URLs: []URL{root}},
		"mail":    SMTP{Target: serve(t, func(c net.Conn) { flood(c, "220-x\r\n") })},
		"TLS":     HTTP{Target: serve(t, func(c net.Conn) { flood(c, "\x16\x03\x03\x40\x00"+strings.Repeat("\x02", 16384)) }), URLs: []URL{root}, TLS: &TLS{}},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			wantDown(t, c, "")
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > most {
				t.Errorf("%d bytes allocated, want at most %d", got, most)
			}
		})
	}
}
