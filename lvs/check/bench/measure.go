package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/lvs/check"
)

// load is what is measured.
type load struct {
	Checks         int
	DelayLoop, For time.Duration
	Port           int
}

// result is what was measured.
type result struct {
	PerSecond        float64
	CPU              float64 // processors
	Median, P99, Max time.Duration
	AtOnce           int
	Memory           int64 // bytes, resident at the most
}

// meter counts attempts. The scheduler's goroutine adds.
type meter struct {
	mu    sync.Mutex
	on    bool
	late  []time.Duration
	known map[string]bool // by key: up
}

func (m *meter) started(_ string, late time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.on {
		m.late = append(m.late, late)
	}
}

func (m *meter) report(v check.Verdict) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v.Known {
		m.known[v.Key] = v.Up
	}
}

// measure runs the checks, and fails when their verdicts are not all the same.
func measure(l load) (result, error) {
	m := &meter{known: make(map[string]bool)}
	idle := runtime.NumGoroutine() + 1 // the scheduler's
	s := check.NewScheduler(check.Options{
		Report: m.report, Started: m.started, Random: rand.Float64(), Logger: slog.New(slog.DiscardHandler),
	})
	specs := make([]check.Spec, l.Checks)
	for i := range specs {
		ip := netip.AddrFrom4([4]byte{127, byte(1 + i>>16), byte(i >> 8), byte(i)})
		specs[i] = check.Spec{
			Key:      strconv.Itoa(i),
			Checker:  check.TCP{Target: check.Target{Addr: netip.AddrPortFrom(ip, uint16(l.Port))}},
			Settings: check.Defaults(check.TCPCheck, l.DelayLoop),
		}
	}
	s.Set(specs)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() {
		cancel()
		<-done
	}()

	// Two turns, so that servers that are down are known to be: the second
	// attempt at one comes 1 s after the end of the first.
	time.Sleep(2*l.DelayLoop + 2*check.DefaultTimeout + time.Second)
	m.mu.Lock()
	m.on = true
	m.mu.Unlock()
	begin, used := time.Now(), processorTime()
	most := 0
	for time.Since(begin) < l.For {
		time.Sleep(l.For / 20)
		most = max(most, runtime.NumGoroutine()-idle)
	}
	took, busy := time.Since(begin), processorTime()-used
	m.mu.Lock()
	defer m.mu.Unlock()
	m.on = false
	return m.result(l, took, busy, most)
}

func (m *meter) result(l load, took, busy time.Duration, atOnce int) (result, error) {
	up := 0
	for _, u := range m.known {
		if u {
			up++
		}
	}
	if len(m.known) != l.Checks || up != 0 && up != l.Checks {
		return result{}, fmt.Errorf("%d of %d verdicts, %d of them up", len(m.known), l.Checks, up)
	}
	if len(m.late) == 0 {
		return result{}, fmt.Errorf("no attempt in %s", took)
	}
	slices.Sort(m.late)
	return result{
		PerSecond: float64(len(m.late)) / took.Seconds(),
		CPU:       busy.Seconds() / took.Seconds(),
		Median:    m.late[len(m.late)/2], P99: m.late[len(m.late)*99/100], Max: m.late[len(m.late)-1],
		AtOnce: atOnce, Memory: resident(),
	}, nil
}

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic("bench: getrusage: " + err.Error())
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resident is the memory of this process at its most.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb << 10
		}
	}
	return 0
}
