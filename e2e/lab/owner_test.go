package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// crash is set for the process that startDoomed starts.
const crash = "HACLUSTER_LAB_CRASH"

func TestMain(m *testing.M) {
	if os.Getenv(crash) == "" {
		os.Exit(m.Run())
	}
	err := Run("doomed", os.Stderr, func(t T) {
		n := New(t).Node("a")
		n.WriteFile("file", "")
		frr := n.StartFRR(FRRRouter{Version: 3, VRID: 51, Priority: 100, VIP: vip})
		fmt.Printf("vrrpd %d sleeper %d\n", frr.PID(), n.Start("/bin/sleep", "60").PID())
		During(time.Minute) // ended by SIGKILL
	})
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// doomed is a lab in a process that was killed.
type doomed struct {
	pid     int
	vrrpd   int // of FRR
	sleeper int // a process that was left in its namespace
}

// startDoomed makes a lab in another process, whose program has the name given,
// and kills that while it runs.
func startDoomed(t *testing.T, program string) doomed {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Args[0] = program
	cmd.Env = append(os.Environ(), crash+"=1")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	d := doomed{pid: cmd.Process.Pid}
	if _, err := fmt.Fscanf(out, "vrrpd %d sleeper %d\n", &d.vrrpd, &d.sleeper); err != nil {
		t.Errorf("the other lab did not start: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed, as it should be
	return d
}

// left is what there still is of the lab.
func (d doomed) left() []string {
	var all []string
	for _, dir := range []string{netnsDir, memory()} {
		found, _ := filepath.Glob(filepath.Join(dir, fmt.Sprintf("%s*.%d.*", namePrefix, d.pid)))
		all = append(all, found...)
	}
	found, _ := filepath.Glob(filepath.Join(frrTraces, fmt.Sprintf("vrrpd.%d", d.vrrpd)))
	return append(all, found...)
}

func (d doomed) wantGone(t *testing.T) {
	t.Helper()
	if left := d.left(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	Want(t, time.Second, "the sleeper has ended", func() (string, bool) {
		_, lives := startOf(d.sleeper)
		return fmt.Sprintf("pid %d lives", d.sleeper), !lives
	})
}

func TestSweepRemovesWhatACrashLeft(t *testing.T) {
	t.Parallel()
	d := startDoomed(t, "other.test")
	Sweep()
	d.wantGone(t)
}

// KEEP=1 make demo leaves machines running: tests spare them, the next demo
// does not.
func TestOnlyTheSameProgramSweepsWhatAProgramLeft(t *testing.T) {
	t.Parallel()
	program := fmt.Sprintf("demo%d", os.Getpid())
	d := startDoomed(t, program)
	before := d.left()
	Sweep()
	if after := d.left(); len(after) != len(before) || len(after) == 0 {
		t.Errorf("a test's sweep left %v of %v", after, before)
	}
	if _, lives := startOf(d.sleeper); !lives {
		t.Error("a test's sweep ended the processes in it")
	}
	sweep(owner{program, os.Getpid(), 0})
	d.wantGone(t)
}

func TestSweepSparesLivingLabs(t *testing.T) {
	t.Parallel()
	lan := New(t)
	a := lan.Node("a")
	Sweep()
	sweep(owner{program: "other.test", pid: 1})
	if r := a.Run("/bin/true"); r.Exit != 0 {
		t.Errorf("the namespace of a living lab is gone: %v", r)
	}
}

func TestOwnerIsKnownByItsStartNotByItsNumberAlone(t *testing.T) {
	later := self()
	later.start++
	for _, o := range []owner{self(), later} {
		got, ok := parseOwner(namePrefix + o.String() + "-Test_of_U9-lb01")
		if !ok || got != o {
			t.Errorf("parseOwner of %v = %v, %v", o, got, ok)
		}
	}
	if !self().lives() || later.lives() {
		t.Errorf("lives = %v and %v, want this process to live and one of its number that began later not to",
			self().lives(), later.lives())
	}
	for _, name := range []string{"", "hac-", "hac-demo-17-lb01", "hac-17-U9-lb01", "other-e2e.test.17.4-a", "hac-e2e.test.x.4-a"} {
		if o, ok := parseOwner(name); ok {
			t.Errorf("parseOwner(%q) = %v, want none", name, o)
		}
	}
}
