package guest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	Main() // in the guest this program is process 1
	os.Exit(m.Run())
}

func TestCommandSeesTheHostAndIsSeen(t *testing.T) {
	t.Setenv("LAB_WORD", "two words")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	file := filepath.Join(t.TempDir(), "file")
	var out, errs bytes.Buffer
	script := `echo "$LAB_WORD $1"; pwd; echo trouble >&2; echo left >"$2"; modprobe ip_vs_rr && cat /proc/net/ip_vs; exit 3`
	status, err := Run(ctx, Options{Stdout: &out, Stderr: &errs}, "sh", "-c", script, "sh", "a\nb", file)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if status != 3 || len(lines) < 4 || lines[0] != "two words a" || lines[1] != "b" || lines[2] != dir || !strings.HasPrefix(lines[3], "IP Virtual Server") {
		t.Errorf("status %d, output %q", status, out.String())
	}
	if errs.String() != "trouble\n" {
		t.Errorf("errors %q, want its own only", errs.String())
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "left\n" {
		t.Errorf("the file has %q, %v", b, err)
	}
}

func TestSignalThatEndsTheCommandIsTold(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	status, err := Run(ctx, Options{}, "sh", "-c", "kill -KILL $$")
	if want := 128 + int(unix.SIGKILL); status != want || err != nil {
		t.Errorf("Run = %d, %v, want %d", status, err, want)
	}
	if _, err := Run(ctx, Options{}, "/no/such/program"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("Run of nothing = %v, want its reason", err)
	}
}

func TestNothingIsLeftWhenTheContextEnds(t *testing.T) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	var out started
	out.f = func() { cancel(cause) }
	defer cancel(nil)
	if _, err := Run(ctx, Options{Stdout: &out}, "sh", "-c", "echo; exec sleep 600"); !errors.Is(err, cause) {
		t.Errorf("Run = %v, want %v", err, cause)
	}
	left, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range left {
		if b, _ := os.ReadFile(file); bytes.Contains(b, []byte("init="+self)) {
			t.Errorf("left: %s %q", file, b)
		}
	}
}

// started calls f when something is written.
type started struct{ f func() }

func (s *started) Write(p []byte) (int, error) {
	s.f()
	return len(p), nil
}
