//go:build guest

package balance_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// within bounds each wait: the guest has one slow CPU.
const within = 20 * time.Second

// command runs a program to its end and returns what it prints.
func command(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

// table is what ipvsadm lists, in order.
func table(t *testing.T) []string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(command(t, "ipvsadm", "-Sn")), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return l == "" })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	slices.Sort(lines)
	return lines
}

// wantTable waits until the kernel's table is as wanted.
func wantTable(t *testing.T, d *daemon, want ...string) {
	t.Helper()
	slices.Sort(want)
	var got []string
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got = table(t); slices.Equal(got, want) {
			return
		}
	}
	t.Fatalf("after %v the table is\n%s\nwant\n%s\nthe daemon says\n%s", within, strings.Join(got, "\n"), strings.Join(want, "\n"), d.said())
}

// realServer answers each connection with its name, until it is killed.
type realServer struct {
	name string
	at   string
	net.Listener
}

func serve(t *testing.T, name, at string) *realServer {
	t.Helper()
	s := &realServer{name: name, at: at}
	s.start(t)
	t.Cleanup(s.kill)
	return s
}

func (s *realServer) start(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", s.at)
	if err != nil {
		t.Fatal(err)
	}
	s.Listener = l
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, s.name)
			c.Close()
		}
	}()
}

func (s *realServer) kill() { s.Close() }

// ask connects to a virtual server and returns the name of who answers.
func ask(t *testing.T, at string) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", at, within)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// daemon is a haclusterd.
type daemon struct {
	*exec.Cmd
	dir      string
	document string // file
	log      string // file
	ended    chan error
}

// standalone starts a daemon that runs a document.
func standalone(t *testing.T, document string) *daemon {
	t.Helper()
	d := newDaemon(t)
	d.write(t, document)
	d.start(t, "--standalone="+d.document)
	return d
}

func newDaemon(t *testing.T) *daemon {
	dir := t.TempDir()
	return &daemon{dir: dir, document: filepath.Join(dir, "doc.conf"), log: filepath.Join(dir, "log"), ended: make(chan error, 1)}
}

func program(name string) string { return filepath.Join(os.Getenv("HACLUSTER_BIN"), name) }

func (d *daemon) start(t *testing.T, flags ...string) {
	t.Helper()
	log, err := os.Create(d.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	d.Cmd = exec.Command(program("haclusterd"), append(flags,
		"--name", "lb01", "--run-dir", filepath.Join(d.dir, "run"), "--data-dir", filepath.Join(d.dir, "data"))...)
	d.Stdout, d.Stderr = log, log
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.ended <- d.Wait() }()
	t.Cleanup(func() { _ = d.Process.Kill() }) // the supervisor's worker ends with it
}

// ctl runs haclusterctl for the daemon.
func (d *daemon) ctl(t *testing.T, args ...string) string {
	t.Helper()
	return command(t, append([]string{program("haclusterctl"), "--socket", d.socket()}, args...)...)
}

func (d *daemon) socket() string { return filepath.Join(d.dir, "run", "api.sock") }

func (d *daemon) write(t *testing.T, document string) {
	t.Helper()
	if err := os.WriteFile(d.document, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (d *daemon) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := d.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// stop ends the daemon politely.
func (d *daemon) stop(t *testing.T) {
	t.Helper()
	d.signal(t, syscall.SIGTERM)
	select {
	case err := <-d.ended:
		if err != nil {
			t.Errorf("haclusterd: %v\n%s", err, d.said())
		}
	case <-time.After(within):
		t.Fatalf("haclusterd has not ended after %v\n%s", within, d.said())
	}
}

func (d *daemon) said() string {
	b, err := os.ReadFile(d.log)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(b))
}

const document = `
global_defs {
	lvs_sync_daemon net0 id 7
}
static_ipaddress {
	192.0.2.1/32 dev net0
	192.0.2.2/32 dev net0
}
virtual_server 192.0.2.1 80 {
	delay_loop 0.3
	lvs_sched rr
	protocol TCP
	real_server 10.0.0.1 8080 {
		TCP_CHECK { connect_timeout 1
			retry 1
			delay_before_retry 0.2 }
	}
	real_server 10.0.0.2 8080 {
		weight 3
		TCP_CHECK { connect_timeout 1
			retry 1
			delay_before_retry 0.2 }
	}%s
}
virtual_server 192.0.2.2 443 {
	delay_loop 0.3
	protocol TCP
	persistence_timeout 300
	sorry_server 10.0.0.9 8080
	real_server 10.0.0.3 8080 {
		TCP_CHECK { connect_timeout 1
			retry 1
			delay_before_retry 0.2 }
	}
}
`

const (
	web    = "-A -t 192.0.2.1:80 -s rr"
	web1   = "-a -t 192.0.2.1:80 -r 10.0.0.1:8080 -m -w 1"
	web2   = "-a -t 192.0.2.1:80 -r 10.0.0.2:8080 -m -w 3"
	web4   = "-a -t 192.0.2.1:80 -r 10.0.0.4:8080 -m -w 1"
	secure = "-A -t 192.0.2.2:443 -s wlc -p 300"
	only   = "-a -t 192.0.2.2:443 -r 10.0.0.3:8080 -m -w 1"
	sorry  = "-a -t 192.0.2.2:443 -r 10.0.0.9:8080 -m -w 1"
	other  = "-A -f 9 -s wrr"
)

// network makes the link of the virtual addresses, and gives this machine those of
// the real servers. Somebody else has a virtual service.
func network(t *testing.T) {
	t.Helper()
	command(t, "ip", "link", "add", "net0", "type", "dummy")
	command(t, "ip", "link", "set", "net0", "up")
	command(t, "ip", "address", "add", "192.0.2.9/24", "dev", "net0")
	for n := range 9 {
		command(t, "ip", "address", "add", fmt.Sprintf("10.0.0.%d/32", n+1), "dev", "lo")
	}
	command(t, "ipvsadm", "-A", "-f", "9", "-s", "wrr")
	t.Cleanup(func() {
		_ = exec.Command("ipvsadm", "-C").Run()
		_ = exec.Command("ip", "link", "delete", "net0").Run()
		_ = exec.Command("ip", "address", "flush", "dev", "lo", "to", "10.0.0.0/8").Run()
	})
}

func TestVirtualServersOfAStandaloneDaemon(t *testing.T) {
	network(t)
	one, two := serve(t, "one", "10.0.0.1:8080"), serve(t, "two", "10.0.0.2:8080")
	three := serve(t, "three", "10.0.0.3:8080")
	serve(t, "four", "10.0.0.4:8080")
	serve(t, "sorry", "10.0.0.9:8080")

	d := standalone(t, fmt.Sprintf(document, ""))
	wantTable(t, d, other, web, web1, web2, secure, only)
	if running := command(t, "ipvsadm", "-L", "--daemon"); strings.Count(running, "syncid=7") != 2 {
		t.Errorf("ipvsadm lists %q, want a master and a backup", running)
	}
	if who := ask(t, "192.0.2.1:80"); who != one.name && who != two.name {
		t.Errorf("192.0.2.1:80 is answered by %q, want one or two", who)
	}

	begun := time.Now()
	two.kill()
	wantTable(t, d, other, web, web1, secure, only)
	t.Logf("a killed server has left the table after %v", time.Since(begun).Round(time.Millisecond))
	if who := ask(t, "192.0.2.1:80"); who != one.name {
		t.Errorf("192.0.2.1:80 is answered by %q, want one", who)
	}
	begun = time.Now()
	two.start(t)
	wantTable(t, d, other, web, web1, web2, secure, only)
	t.Logf("it is back after %v", time.Since(begun).Round(time.Millisecond))

	three.kill()
	wantTable(t, d, other, web, web1, web2, secure, sorry)
	if who := ask(t, "192.0.2.2:443"); who != "sorry" {
		t.Errorf("192.0.2.2:443 is answered by %q, want the sorry server", who)
	}
	three.start(t)
	wantTable(t, d, other, web, web1, web2, secure, only)

	// Counters tell that what is equal was not touched: they go when an entry goes.
	wantCounted(t, 2)
	d.write(t, fmt.Sprintf(document, "\nreal_server 10.0.0.4 8080 { TCP_CHECK { connect_timeout 1 } }"))
	d.signal(t, syscall.SIGHUP)
	wantTable(t, d, other, web, web1, web2, web4, secure, only)
	wantCounted(t, 2)

	d.stop(t)
	wantTable(t, d, other)
	if running := command(t, "ipvsadm", "-L", "--daemon"); running != "" {
		t.Errorf("after the end ipvsadm lists %q", running)
	}
}

func TestVirtualServersOfAMember(t *testing.T) {
	network(t)
	serve(t, "one", "10.0.0.1:8080")
	serve(t, "three", "10.0.0.3:8080")
	d := newDaemon(t)
	d.start(t, "--listen", "192.0.2.9:7112", "--advertise", "192.0.2.9:7112")
	d.wantAnswer(t)
	d.ctl(t, "init")

	d.write(t, fmt.Sprintf(document, ""))
	d.ctl(t, "config", "apply", d.document)
	wantTable(t, d, other, web, web1, secure, only)
	if shown := d.ctl(t, "services"); !strings.Contains(shown, "192.0.2.1:80") {
		t.Errorf("haclusterctl services shows\n%s", shown)
	}

	// What was down stays out of the table while another process takes over.
	begun, restarted := time.Now(), make(chan error, 1)
	go func() { restarted <- exec.Command(program("haclusterctl"), "--socket", d.socket(), "restart").Run() }()
	const after = time.Second // still watched
	done := false
	for until := begun.Add(within); time.Now().Before(until); time.Sleep(30 * time.Millisecond) {
		if got := table(t); slices.Contains(got, web2) || !slices.Contains(got, web1) {
			t.Fatalf("%v after the restart was asked for the table is\n%s", time.Since(begun), strings.Join(got, "\n"))
		}
		select {
		case err := <-restarted:
			if err != nil {
				t.Fatalf("haclusterctl restart: %v\n%s", err, d.said())
			}
			done, until = true, time.Now().Add(after)
		default:
		}
	}
	if !done {
		t.Fatalf("haclusterctl restart has not ended after %v\n%s", within, d.said())
	}
	serve(t, "two", "10.0.0.2:8080")
	wantTable(t, d, other, web, web1, web2, secure, only)

	d.write(t, "")
	d.ctl(t, "config", "apply", d.document, "--yes")
	wantTable(t, d, other)
	d.stop(t)
}

// wantAnswer waits until the daemon answers.
func (d *daemon) wantAnswer(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("unix", d.socket()); err == nil {
			c.Close()
			return
		}
	}
	t.Fatalf("nobody answers on %s after %v\n%s", d.socket(), within, d.said())
}

// wantCounted waits until the web service has counted so many connections: the
// kernel adds them up every two seconds.
func wantCounted(t *testing.T, want int) {
	t.Helper()
	got := -1
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		for line := range strings.Lines(command(t, "ipvsadm", "-Ln", "--stats", "--exact")) {
			if f := strings.Fields(line); len(f) > 2 && f[1] == "192.0.2.1:80" {
				if _, err := fmt.Sscan(f[2], &got); err != nil {
					t.Fatal(err)
				}
			}
		}
		if got == want {
			return
		}
	}
	t.Errorf("192.0.2.1:80 has counted %d connections, want %d", got, want)
}
