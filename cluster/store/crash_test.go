package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// crashDir makes the test binary a program that applies revisions to the store in
// that directory until it is killed.
const crashDir = "HACLUSTER_STORE_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := applyForever(dir); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// tcpStream is Raft's stream layer for a node that is alone.
type tcpStream struct{ net.Listener }

func (tcpStream) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	return net.DialTimeout("tcp", string(address), timeout)
}

func openAlone(dir string) (*Store, error) {
	o, err := aloneOptions(dir)
	if err != nil {
		return nil, err
	}
	return Open(o)
}

func aloneOptions(dir string) (Options, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return Options{}, err
	}
	return Options{
		Server: Server{ID: "alone#1", Addr: l.Addr().String()}, Dir: dir,
		Stream:    func() raft.StreamLayer { return tcpStream{l} },
		Timing:    Timing{Heartbeat: 50 * time.Millisecond, Election: 50 * time.Millisecond, Lease: 50 * time.Millisecond, DiskStall: time.Second},
		Retention: Retention{MinRevisions: 1 << 20, MaxAge: 1 << 62, MaxBytes: 1 << 30},
		Logger:    slog.New(slog.DiscardHandler), SnapshotAfter: 16,
	}, nil
}

// applyForever first lists what the store has, then has four writers commit
// revisions and says which were acknowledged. It ends by being killed.
func applyForever(dir string) error {
	s, err := openAlone(filepath.Join(dir, "raft"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Bootstrap(ctx); err != nil && !errors.Is(err, raft.ErrCantBootstrap) {
		return err
	}
	if err := s.Sync(ctx); err != nil {
		return err
	}
	for _, meta := range s.Revisions().History(0) {
		rev, err := s.Revisions().Get(meta.Number) // checks the hash of the text
		if err != nil {
			return err
		}
		fmt.Println("have", rev.Number, rev.Hash)
	}
	if rev, err := LoadCache(filepath.Join(dir, "cache"), "id"); err == nil {
		fmt.Println("have", rev.Number, rev.Hash)
	} else if !errors.Is(err, ErrNoRevision) {
		return err
	}
	fmt.Println("ready")

	var caching sync.Mutex
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for ctx.Err() == nil {
				base := uint64(0)
				if rev, err := s.Revisions().Latest(); err == nil {
					base = rev.Number
				}
				text := strings.Repeat(fmt.Sprintf("line %d\n", rand.Uint64()), 1+rand.IntN(300))
				rev, err := s.Propose(ctx, Proposal{Base: base, Text: text})
				if err != nil {
					if err := s.Err(); err != nil {
						fmt.Println("error", err)
					}
					continue // another writer was first
				}
				fmt.Println("acknowledged", rev.Number, rev.Hash)
				rev.Text = text
				caching.Lock()
				if err := SaveCache(filepath.Join(dir, "cache"), "id", rev); err != nil {
					fmt.Println("error", err)
				}
				caching.Unlock()
				if rev.Number%20 == 0 {
					_ = s.raft().Snapshot().Error() // a kill may fall into it
				}
			}
		})
	}
	group.Wait()
	return nil
}

// crashLine is one line of the program's output.
type crashLine struct {
	word   string
	number uint64
	hash   string
}

func readLines(from io.Reader, to chan<- crashLine) {
	defer close(to)
	scanner := bufio.NewScanner(from)
	for scanner.Scan() {
		line := crashLine{}
		if _, err := fmt.Sscan(scanner.Text(), &line.word, &line.number, &line.hash); err != nil {
			line = crashLine{word: scanner.Text()}
		}
		to <- line
	}
}

// startCrash starts the program.
func startCrash(ctx context.Context, t *testing.T, dir string) (*exec.Cmd, <-chan crashLine) {
	t.Helper()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan crashLine)
	go readLines(out, lines) // ends with the program
	return cmd, lines
}

func TestProcessThatGetsNoProcessorIsNotTakenForAStalledDisk(t *testing.T) {
	for _, test := range []struct {
		name             string
		pauses           int
		running, stopped time.Duration
	}{
		{"stopped for longer than the limit", 6, 50 * time.Millisecond, 1100 * time.Millisecond},
		{"stopped most of the time", 40, 20 * time.Millisecond, 180 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
			defer cancel()
			cmd, lines := startCrash(ctx, t, t.TempDir())
			paused := make(chan error, 1)
			acknowledged := 0
			for began := false; ; acknowledged++ {
				line, ok := <-lines
				if !ok || strings.HasPrefix(line.word, "error") {
					t.Fatalf("the program says %q after %d answers", line.word, acknowledged)
				}
				if line.word != "acknowledged" {
					continue
				}
				if !began {
					began = true
					go func() { paused <- pause(cmd.Process, test.pauses, test.running, test.stopped) }() // ends by itself
				}
				if len(paused) > 0 {
					break
				}
			}
			if err := <-paused; err != nil {
				t.Fatal(err)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
			for range lines { // until it has ended
			}
			_ = cmd.Wait() // killed
			t.Logf("%d answers", acknowledged)
		})
	}
}

// pause stops the process n times. Answers come all the time, so a write is under
// way at most moments.
func pause(p *os.Process, n int, running, stopped time.Duration) error {
	for range n {
		time.Sleep(running)
		if err := p.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		time.Sleep(stopped)
		if err := p.Signal(syscall.SIGCONT); err != nil {
			return err
		}
	}
	return nil
}

func TestKilledStoreHasEveryAcknowledgedRevision(t *testing.T) {
	dir := t.TempDir()
	acknowledged := make(map[uint64]string)
	for kill := range 21 { // the last round only has to look
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		cmd, lines := startCrash(ctx, t, dir)
		have := make(map[uint64]string)
		var due <-chan time.Time
		answers, after := 0, 1+rand.IntN(8)
		for open := true; open; {
			select {
			case <-due:
				due = nil
				if err := cmd.Process.Kill(); err != nil {
					t.Error(err)
				}
			case line, ok := <-lines:
				open = ok
				switch line.word {
				case "have":
					if before, ok := have[line.number]; ok && before != line.hash {
						t.Errorf("kill %d: revision %d is %s in one place and %s in another", kill, line.number, before, line.hash)
					}
					have[line.number] = line.hash
				case "ready":
					for number, hash := range acknowledged {
						if have[number] != hash {
							t.Errorf("after kill %d: revision %d has hash %q, want %s", kill, number, have[number], hash)
						}
					}
					if kill%2 == 0 {
						due = time.After(time.Duration(rand.IntN(200)) * time.Millisecond)
					}
				case "acknowledged":
					acknowledged[line.number] = line.hash
					// Half of the kills fall within 20 ms after one of the first answers.
					if answers++; kill%2 == 1 && answers == after {
						due = time.After(time.Duration(rand.IntN(20)) * time.Millisecond)
					}
				case "":
				default:
					t.Errorf("after kill %d the program says %q", kill, line.word)
				}
			}
		}
		_ = cmd.Wait() // killed
		cancel()
	}
	if len(acknowledged) < 10 {
		t.Errorf("%d revisions were acknowledged: the kills met nothing", len(acknowledged))
	}
	t.Logf("%d acknowledged revisions survived 20 kills", len(acknowledged))
}
