//go:build guest

package ipvs_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/ipvs"
)

// reconcile runs a reconciler on this goroutine's thread until the status is as
// f wants it, and returns how much was written.
func reconcile(t *testing.T, k *ipvs.Kernel, dir string, d lvs.Desired, f func(lvs.Status) bool) uint64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var last lvs.Status
	r := lvs.New(lvs.Options{
		Log: slog.New(slog.DiscardHandler), Kernel: k, RunDir: dir,
		Publish: func(s lvs.Status) {
			if last = s; f(s) {
				cancel()
			}
		},
	})
	r.Set(d)
	if err := r.Run(ctx); !f(last) {
		t.Fatalf("Run: %v; status %+v", err, last)
	}
	return last.Writes
}

func settled(s lvs.Status) bool { return len(s.Refused)+len(s.Draining) == 0 && s.Err == nil }

func TestReconcilerOverTheKernel(t *testing.T) {
	k := namespace(t)
	dir := t.TempDir()
	services, lines := wanted()
	all := lvs.Desired{Services: services, Drain: 10 * time.Second}
	if err := all.Validate(); err != nil {
		t.Fatal(err)
	}
	reconcile(t, k, dir, all, settled)
	same(t, "after the first programming", lines, saved(t))
	if n := reconcile(t, k, dir, all, settled); n != 0 {
		t.Errorf("a restart wrote %d times, want not at all", n)
	}
	ipvsadm(t, "-A", "-t", "192.0.2.77:80")
	fewer := lvs.Desired{Services: services[1:], Drain: 10 * time.Second}
	reconcile(t, k, dir, fewer, settled)
	ours := slices.DeleteFunc(read(t, k), func(s lvs.Service) bool { return s.Key == tcp("192.0.2.77:80") })
	same(t, "after one went", services[1:], ours)
	if n := reconcile(t, k, dir, lvs.Desired{}, settled); n != uint64(len(services)-1) {
		t.Errorf("the end wrote %d times, want once for each of %d services", n, len(services)-1)
	}
	same(t, "in the end", []string{"-A -t 192.0.2.77:80 -s wlc"}, saved(t))
}
