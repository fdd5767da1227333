package cluster

import (
	"errors"
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
