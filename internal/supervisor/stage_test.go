package supervisor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The tests run real processes: this program again, as a supervisor, which
// starts it once more as a worker. plotEnv says what the worker does.
const plotEnv = "SUPERVISOR_TEST_PLOT"

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "--version":
		os.Exit(0)
	case IsWorker():
		os.Exit(playWorker(os.Getenv(plotEnv)))
	case os.Getenv(plotEnv) != "":
		os.Exit(playSupervisor())
	}
	os.Exit(m.Run())
}

func playSupervisor() int {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR2)
	exit, err := Run(Options{
		Log:     slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Signals: signals,
		Notify:  func(state string) error { fmt.Println("systemd", state); return nil },
		OpenGate: func() (Gate, error) {
			return printedGate{}, nil
		},
		AdoptGate: adopted,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return exit
}

// printedGate tells the test when it is closed.
type printedGate struct{}

// adopted says that the gate came from the program before.
func adopted(files []*os.File) (Gate, error) {
	fmt.Println("gate adopted", len(files))
	return printedGate{}, nil
}

func (printedGate) CloseAll() error {
	fmt.Println("gate closed")
	return nil
}

func (printedGate) Files() ([]*os.File, error) {
	fd, err := unix.Dup(1)
	return []*os.File{os.NewFile(uintptr(fd), "stdout")}, err
}

var (
	vip       = netip.MustParsePrefix("192.0.2.100/32")
	permanent = netip.MustParsePrefix("192.0.2.1/24")
)

// patience is the limit of silence of workers that feed.
const patience = 5 * time.Second

// What each worker of a test pledges.
const (
	pledgedTo    = 7
	pledgedUntil = 4242
)

// playWorker is what the worker of a test does. Each plot is one life.
func playWorker(plot string) int {
	fmt.Println("worker", os.Getpid())
	if plot == "refuses" {
		fmt.Fprintln(os.Stderr, "haclusterd: refused")
		return 2
	}
	w, err := Connect()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, plot, err)
			os.Exit(1)
		}
	}
	if w.AfterDeath() {
		fmt.Println("after a death")
	}
	if plot == "no heir" && w.heir {
		return 1
	}
	state, err := w.Inherit()
	fail(err)
	if len(state) > 0 {
		fmt.Println("inherited", len(state), string(state[:5]))
	}
	if until, ok := w.Pledge().Until(pledgedTo); ok {
		fmt.Println("owes until", until)
	} else {
		fmt.Println("owes nothing")
		w.Pledge().Begin(pledgedTo)
	}
	w.Pledge().Keep(pledgedUntil)
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	if plot == "polite" {
		fail(w.Rest())
	}
	fail(w.Notify("READY=1"))
	if plot == "polite" {
		select {
		case <-term:
			fmt.Println("goodbye")
			return 0
		case <-w.Gone():
			fmt.Println("the supervisor is gone")
			return 0
		}
	}
	go func() { // ends with the process
		<-w.Gone()
		os.Exit(0)
	}()
	if plot == "gate" {
		files, err := w.Gate(context.Background())
		fail(err)
		_, err = fmt.Fprintln(files[0], "written through the gate's file")
		fail(err)
	}
	// Whoever feeds may wait for a processor in between.
	silence := patience
	if plot == "hangs" {
		silence = 200 * time.Millisecond
	}
	c := Clause{
		Silence:   silence,
		Addresses: []Address{{Interface: "veth0", Prefix: vip}, {Interface: "veth0", Prefix: permanent}},
		Words:     []Words{{Protocol: unix.IPPROTO_UDP, Payload: []byte("released"), To: []netip.AddrPort{netip.MustParseAddrPort(os.Getenv("SUPERVISOR_TEST_TO"))}}},
	}
	w.Feed()
	fail(w.Put("instance VI_1", c))
	link, err := netlink.LinkByName("veth0")
	fail(err)
	fail(netlink.AddrReplace(link, &netlink.Addr{IPNet: &net.IPNet{IP: vip.Addr().AsSlice(), Mask: net.CIDRMask(32, 32)}, ValidLft: 60, PreferedLft: 60}))
	if plot == "dies at once" {
		fail(unix.Kill(os.Getpid(), unix.SIGKILL))
	}
	fmt.Println("holds")
	for range 1000 {
		if plot == "hangs" {
			time.Sleep(time.Hour)
		}
		w.Feed()
		select {
		case <-w.HandOver():
			if plot == "dies instead" {
				fail(unix.Kill(os.Getpid(), unix.SIGKILL))
			}
			fail(w.Bequeath(append([]byte("state"), make([]byte, 100_000)...)))
			return 0
		case <-time.After(20 * time.Millisecond):
		}
	}
	return 1
}

// stage is a network namespace with an interface, in which a supervisor runs.
// The test's goroutine is in it as well.
type stage struct {
	t       *testing.T
	words   *net.UDPConn
	program string // a copy of this one
	cmd     *exec.Cmd
	lines   chan string // what supervisor and worker print
	log     writing
	exit    int           // valid after done
	done    chan struct{} // closed when nothing is left that could print
}

// writing is text that is read while a process still writes it.
type writing struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *writing) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *writing) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

func newStage(t *testing.T, plot string) *stage {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("network namespaces need root")
	}
	runtime.LockOSThread() // never unlocked: the thread, and the namespace with it, end with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	for _, do := range []func() error{
		func() error {
			return netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "veth0"}, PeerName: "veth1"})
		},
		func() error { return up("lo") },
		func() error { return up("veth0") },
		func() error { return addPermanent() },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	words, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { words.Close() })
	s := &stage{t: t, words: words, lines: make(chan string, 1000), done: make(chan struct{})}
	s.program = filepath.Join(t.TempDir(), "haclusterd")
	s.install()
	s.cmd = exec.Command(s.program)
	s.cmd.Env = []string{plotEnv + "=" + plot, "SUPERVISOR_TEST_TO=" + words.LocalAddr().String()}
	s.cmd.Stderr = &s.log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go s.follow(out)
	t.Cleanup(s.end)
	return s
}

// install puts the program in place, as a package does: a new file with the name
// of the old one.
func (s *stage) install() {
	s.t.Helper()
	text, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(s.program+".new", text, 0o755)
	}
	if err == nil {
		err = os.Rename(s.program+".new", s.program)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) follow(out io.Reader) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		s.lines <- lines.Text()
	}
	close(s.lines)
	_ = s.cmd.Wait()
	s.exit = s.cmd.ProcessState.ExitCode()
	close(s.done)
}

func (s *stage) end() {
	_ = s.cmd.Process.Kill()
	select {
	case <-s.done: // a worker that is left ends, because its supervisor has
	case <-time.After(20 * time.Second):
		s.t.Error("something of the supervisor is left")
	}
	if s.t.Failed() {
		s.t.Logf("log:\n%s", s.log.String())
	}
}

func up(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

func addPermanent() error {
	link, err := netlink.LinkByName("veth0")
	if err != nil {
		return err
	}
	return netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: permanent.Addr().AsSlice(), Mask: net.CIDRMask(24, 32)}})
}

// want waits for a line, and returns what follows its beginning.
func (s *stage) want(begins string) string {
	s.t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case line, ok := <-s.lines:
			if rest, found := strings.CutPrefix(line, begins); found {
				return strings.TrimSpace(rest)
			}
			if !ok {
				s.t.Fatalf("ended without a line %q", begins)
			}
		case <-limit:
			s.t.Fatalf("no line %q within 20 s", begins)
		}
	}
}

func (s *stage) wantExit(want int) {
	s.t.Helper()
	select {
	case <-s.done:
		if s.exit != want {
			s.t.Errorf("exit status %d, want %d", s.exit, want)
		}
	case <-time.After(20 * time.Second):
		s.t.Errorf("still running after 20 s, want exit status %d", want)
	}
}

// wantWords waits for that many words.
func (s *stage) wantWords(want int) {
	s.t.Helper()
	for n := range want {
		if !s.said(20 * time.Second) {
			s.t.Fatalf("heard %d words within 20 s, want %d", n, want)
		}
	}
}

// wantSilence fails when a word comes: longer than words are apart, nobody speaks.
func (s *stage) wantSilence() {
	s.t.Helper()
	if s.said(300 * time.Millisecond) {
		s.t.Error("something was said")
	}
}

// said waits for a word.
func (s *stage) said(within time.Duration) bool {
	s.t.Helper()
	buf := make([]byte, 100)
	_ = s.words.SetReadDeadline(time.Now().Add(within))
	size, err := s.words.Read(buf)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	if err != nil || string(buf[:size]) != "released" {
		s.t.Fatalf("heard %q, %v", buf[:size], err)
	}
	return true
}

// wantLog waits for words in the log and returns what follows them. The log comes
// by a way of its own, later than what it tells of.
func (s *stage) wantLog(words string) string {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if _, rest, ok := strings.Cut(s.log.String(), words); ok {
			return rest
		}
	}
	s.t.Fatalf("no %q in the log within 20 s", words)
	return ""
}

// addresses lists those of the interface.
func (s *stage) addresses() []string {
	s.t.Helper()
	link, err := netlink.LinkByName("veth0")
	if err != nil {
		s.t.Fatal(err)
	}
	list, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, a := range list {
		out = append(out, a.IPNet.String())
	}
	return out
}

func (s *stage) pid(text string) int {
	s.t.Helper()
	var pid int
	if _, err := fmt.Sscan(text, &pid); err != nil {
		s.t.Fatal(err)
	}
	return pid
}
