package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// What a killed worker has left holds the lock in its daemon's name.
func TestLockOfAPredecessorIsWaitedFor(t *testing.T) {
	const pid, other = 812, 813
	path := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		left, err := LockDir(path, pid)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if _, err := LockDir(path, other); !isRunning(err, pid) || time.Since(begin) > 0 {
			t.Errorf("another daemon gets %v after %v, want at once that %d runs", err, time.Since(begin), pid)
		}
		if _, err := LockDir(path, pid); !isRunning(err, pid) || time.Since(begin) < lockWait {
			t.Errorf("the lock is never given back: %v after %v, want after %v that %d runs", err, time.Since(begin), lockWait, pid)
		}
		time.AfterFunc(time.Second, func() { left.Close() })
		begin = time.Now()
		lock, err := LockDir(path, pid)
		if err != nil || time.Since(begin) < time.Second {
			t.Fatalf("LockDir = %v after %v, want the lock after 1s", err, time.Since(begin))
		}
		lock.Close()
	})
}

func isRunning(err error, pid int) bool {
	running, ok := errors.AsType[*RunningError](err)
	return ok && running.PID == pid
}

// What is remembered does not count when a process that has no part in it had the
// directory in between, whatever its pid.
func TestAMemoryIsStaleWhenAnotherProcessHadTheDirectory(t *testing.T) {
	path := t.TempDir()
	for i, step := range []struct {
		by   tenant
		want bool
	}{
		{tenant{812, 7}, true}, // nobody had it before
		{tenant{812, 7}, false},
		{tenant{812, 9}, true}, // of another machine, or of a container
		{tenant{812, 7}, true},
		{tenant{812, 0}, true}, // it could not take part
		{tenant{812, 7}, true},
		{tenant{812, 7}, false},
	} {
		stale := false
		d, err := openDataDir(Options{DataDir: path, PID: step.by.pid, Memory: step.by.memory, Stale: func() {
			stale = true
			if readTenant(filepath.Join(path, "lock")) == step.by {
				t.Errorf("step %d: it is told when this process has become the last one; one that died now would not be followed by one that is told", i)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if stale != step.want {
			t.Errorf("step %d, process %d with memory %d: stale = %v, want %v", i, step.by.pid, step.by.memory, stale, step.want)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// An earlier version wrote the pid only.
func TestATenantIsReadAsFarAsItGoes(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	for text, want := range map[string]tenant{
		"":                              {},
		"812\n":                         {pid: 812},
		"812 ff\n":                      {812, 255},
		"812 fe":                        {812, 254},
		"nobody\n":                      {},
		"812 fffffffffffffffffffffff\n": {pid: 812},
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := readTenant(name); got != want {
			t.Errorf("%q is read as %v, want %v", text, got, want)
		}
	}
}
