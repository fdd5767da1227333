package run

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The tests that change user or scheduling need root.

func sh(script string) Command { return Command{Argv: []string{"sh", "-c", script}} }

func TestInputIsReadToItsEnd(t *testing.T) {
	c := sh("cat; echo end")
	if r := Run(t.Context(), c); r.Output != "end\n" {
		t.Errorf("without input: %q", r.Output)
	}
	c.Input = []byte("action=off\nip=192.0.2.1\n")
	if r := Run(t.Context(), c); r.Output != "action=off\nip=192.0.2.1\nend\n" {
		t.Errorf("with input: %q", r.Output)
	}
	c = sh("exit 3")
	c.Input = make([]byte, 1<<20)
	if r := Run(t.Context(), c); r.Status != 3 {
		t.Errorf("input that nobody reads: %v", r)
	}
}

func TestRunReportsHowAProgramEnded(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	for path, text := range map[string]string{plain: "exit $1\n", filepath.Join(dir, "wrong"): "#!/no/such/interpreter\n"} {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name    string
		command Command
		want    Outcome
		status  int
		text    string
	}{
		{name: "success", command: sh("exit 0"), want: Exited, text: "exit status 0"},
		{name: "exit status", command: sh("exit 3"), want: Exited, status: 3, text: "exit status 3"},
		{name: "signal", command: sh("kill -9 $$"), want: Killed, status: -1, text: "killed by killed"},
		{name: "missing program", command: Command{Argv: []string{"/no/such/program"}}, want: LaunchFailed,
			text: "not started: fork/exec /no/such/program: no such file or directory"},
		{name: "not in the path", command: Command{Argv: []string{"no-such-program"}}, want: LaunchFailed,
			text: "not started: find no-such-program: file does not exist"},
		{name: "missing interpreter", command: Command{Argv: []string{filepath.Join(dir, "wrong")}}, want: LaunchFailed},
		{name: "no interpreter named", command: Command{Argv: []string{plain, "4"}}, want: Exited, status: 4},
		{name: "nothing", command: Command{}, want: LaunchFailed, text: "not started: no program given"},
		{name: "no such user id", command: Command{Argv: []string{"true"}, User: &User{UID: 54321, GID: 54321}}, want: Exited},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := Run(t.Context(), test.command)
			if r.Outcome != test.want || r.Status != test.status || (test.text != "" && r.String() != test.text) {
				t.Errorf("Run = %+v (%s), want outcome %d, status %d, %q", r, r, test.want, test.status, test.text)
			}
			if want := test.want == Exited && test.status == 0; r.OK() != want {
				t.Errorf("OK = %v, want %v", r.OK(), want)
			}
		})
	}
}

func TestNothingIsExpandedWithoutAShell(t *testing.T) {
	r := Run(t.Context(), Command{Argv: []string{"echo", "$HOME; *", "a b"}})
	if want := "$HOME; * a b\n"; r.Output != want {
		t.Errorf("output = %q, want %q", r.Output, want)
	}
}

func TestEnvironmentIsClean(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "/run/secret")
	r := Run(t.Context(), Command{Argv: []string{"env"}, Env: []string{"HACLUSTER_STATE=MASTER"}})
	lines := strings.Split(strings.TrimSpace(r.Output), "\n")
	slices.Sort(lines)
	want := []string{"HACLUSTER_STATE=MASTER", "HOME=/", "LANG=C.UTF-8", "PATH=" + Path}
	if !slices.Equal(lines, want) {
		t.Errorf("environment = %q, want %q", lines, want)
	}
}

func TestUserIsDropped(t *testing.T) {
	u, err := LookupUser("nobody", "")
	if err != nil {
		t.Fatal(err)
	}
	c := sh("id -u; id -g; id -G")
	c.User = u
	r := Run(t.Context(), c)
	want := fmt.Sprintf("%d\n%d\n%d\n", u.UID, u.GID, u.GID)
	if r.Output != want {
		t.Errorf("ids = %q, want %q", r.Output, want)
	}
	if _, err := LookupUser("no-such-user", ""); err == nil {
		t.Error("LookupUser of nobody known succeeds")
	}
}

func TestTimeoutEndsTheWholeGroup(t *testing.T) {
	c := sh("echo before; sleep 100 & echo $!; wait")
	c.Timeout = 2 * time.Second // long enough to get there
	r := Run(t.Context(), c)
	if r.Outcome != TimedOut || r.OK() {
		t.Errorf("Run = %+v, want a timeout", r)
	}
	if r.Took >= c.Timeout+killDelay {
		t.Errorf("took %s, want the end soon after TERM", r.Took)
	}
	before, child, _ := strings.Cut(strings.TrimSpace(r.Output), "\n")
	if before != "before" {
		t.Errorf("output = %q, want what was written before the timeout", r.Output)
	}
	pid, err := strconv.Atoi(child)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); running(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("child %d is still running", pid)
		}
	}
}

// running reports whether a process exists and is no zombie.
func running(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}

func TestWhatIgnoresTermIsKilled(t *testing.T) {
	c := sh("trap '' TERM; while :; do sleep 0.05; done")
	c.Timeout = 2 * time.Second // long enough for the trap
	r := Run(t.Context(), c)
	if r.Outcome != TimedOut || r.Signal != syscall.SIGKILL {
		t.Errorf("Run = %+v, want killed after a timeout", r)
	}
	if r.Took < killDelay {
		t.Errorf("killed after %s, want %s of grace", r.Took, killDelay)
	}
}

func TestDoneContextEndsTheRun(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if r := Run(ctx, sh("sleep 100")); r.Outcome != Cancelled || r.Took > 2*time.Second {
		t.Errorf("Run = %+v, want cancelled at once", r)
	}
	if r := Run(ctx, sh("exit 0")); r.Outcome != Cancelled {
		t.Errorf("Run with a context that is done = %+v, want cancelled", r)
	}
}

func TestOutputIsBounded(t *testing.T) {
	r := Run(t.Context(), sh("head -c 1000000 /dev/zero | tr '\\0' x"))
	if len(r.Output) != OutputLimit || !r.Truncated || !r.OK() {
		t.Errorf("%d bytes kept, truncated %v, %s; want %d, true, success", len(r.Output), r.Truncated, r, OutputLimit)
	}
}

func TestWhatAScriptLeavesBehindLivesOn(t *testing.T) {
	dir := t.TempDir()
	ended, mark := filepath.Join(dir, "ended"), filepath.Join(dir, "mark")
	c := sh("(while [ ! -e " + ended + " ]; do sleep 0.05; done; echo late; echo later; touch " + mark + ") & exit 0")
	c.Timeout = 10 * time.Second
	if r := Run(t.Context(), c); !r.OK() {
		t.Errorf("Run = %+v, want success before the child ends", r)
	}
	if err := os.WriteFile(ended, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(mark); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the child died with its output")
		}
	}
}

func TestChildIsScheduledNormallyWhateverTheDaemonIs(t *testing.T) {
	// The thread with realtime scheduling ends with this goroutine.
	type result struct{ policy, nice, err string }
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread()
		var r result
		if err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}, 0); err != nil {
			r.err = err.Error()
		}
		// Field 19 is the nice value, field 41 the policy; the name has no space.
		out := Run(t.Context(), Command{Argv: []string{"cat", "/proc/self/stat"}}).Output
		if f := strings.Fields(out); len(f) > 41 {
			r.nice, r.policy = f[18], f[40]
		}
		done <- r
	}()
	nice, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := result{policy: "0", nice: strconv.Itoa(20 - nice)} // the system call counts from 20 down
	if got := <-done; got != want {
		t.Errorf("scheduling = %+v, want %+v", got, want)
	}
}

func TestCheckSecureFindsWhatOthersMayChange(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "bin", "check")
	tests := []struct {
		name      string
		dir, file fs.FileMode
		owner     int
		group     int
		want      string
	}{
		{name: "root's alone", dir: 0o755, file: 0o755},
		{name: "root's group", dir: 0o775, file: 0o775},
		{name: "sticky directory", dir: fs.ModeSticky | 0o777, file: 0o755},
		{name: "writable directory", dir: 0o777, file: 0o755, want: "bin is writable by everybody"},
		{name: "writable file", dir: 0o755, file: 0o757, want: "check is writable by everybody"},
		{name: "another group", dir: 0o755, file: 0o775, group: 100, want: "check is writable by group 100"},
		{name: "another owner", dir: 0o755, file: 0o755, owner: 1000, want: "check belongs to user 1000"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := errors.Join(
				os.MkdirAll(filepath.Dir(script), 0o755),
				os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755),
				os.Chown(script, test.owner, test.group),
				os.Chmod(script, test.file),
				os.Chmod(filepath.Dir(script), test.dir),
			); err != nil {
				t.Fatal(err)
			}
			err := CheckSecure(script)
			if (test.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), test.want)) {
				t.Errorf("CheckSecure = %v, want %q", err, test.want)
			}
			r := Run(t.Context(), Command{Argv: []string{script}, Secure: true})
			if r.OK() != (test.want == "") {
				t.Errorf("Run = %s", r)
			}
		})
	}
}

func TestQueueRunsInOrderForEachKeyAndNeverBlocks(t *testing.T) {
	q := NewQueue(slog.New(slog.DiscardHandler))
	gate := make(chan struct{})
	var mu sync.Mutex
	ran := map[string][]string{}
	q.run = func(_ context.Context, c Command) Result {
		<-gate
		mu.Lock()
		defer mu.Unlock()
		ran[c.Argv[0]] = append(ran[c.Argv[0]], c.Argv[1])
		return Result{}
	}
	want := []string{"0", "1", "2", "3", "4"}
	for _, n := range want {
		q.Put("a", Command{Argv: []string{"a", n}}) // nothing runs yet
		q.Put("b", Command{Argv: []string{"b", n}})
	}
	close(gate)
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "b"} {
		if !slices.Equal(ran[key], want) {
			t.Errorf("%s ran %q, want %q", key, ran[key], want)
		}
	}
}

func TestCloseOfAQueueIsBounded(t *testing.T) {
	q := NewQueue(slog.New(slog.DiscardHandler))
	ran, started := 0, make(chan struct{}, 2)
	q.run = func(ctx context.Context, _ Command) Result {
		ran++
		started <- struct{}{}
		<-ctx.Done()
		return Result{Outcome: Cancelled}
	}
	q.Put("a", Command{})
	q.Put("a", Command{})
	<-started
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := q.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close = %v, want %v", err, context.DeadlineExceeded)
	}
	q.Put("a", Command{})
	if ran != 1 {
		t.Errorf("%d commands ran, want 1", ran)
	}
}

func TestNotifyArgsAreKeepaliveds(t *testing.T) {
	if got, want := NotifyArgs(false, "VI_1", "MASTER", 150), []string{"INSTANCE", "VI_1", "MASTER", "150"}; !slices.Equal(got, want) {
		t.Errorf("NotifyArgs = %q, want %q", got, want)
	}
	if got, want := NotifyArgs(true, "G1", "FAULT", 150), []string{"GROUP", "G1", "FAULT", "0"}; !slices.Equal(got, want) {
		t.Errorf("NotifyArgs = %q, want %q", got, want)
	}
}

func BenchmarkRun(b *testing.B) {
	for b.Loop() {
		if r := Run(b.Context(), Command{Argv: []string{"/bin/true"}}); !r.OK() {
			b.Fatal(r)
		}
	}
}
