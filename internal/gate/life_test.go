package gate

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// roleVariable makes the test binary play another process.
const roleVariable = "GATE_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// lease is for how long the processes of these tests open their slot.
const lease = 300 * time.Millisecond

// play is a process that holds the virtual addresses until it is killed. The owner
// makes a gate in the namespace that it was started in, renews for half a second
// and then only waits. The sleeper uses the gate that it inherits: it reads the
// clock, stops itself, and when it goes on stores what it had in mind.
func play(role string) error {
	opts := Options{Name: "test", Log: testLogTo(os.Stdout)}
	var g *Gate
	var err error
	if role == "owner" {
		g, err = New(opts)
	} else {
		var files []*os.File
		for n := range FileCount {
			files = append(files, os.NewFile(uintptr(3+n), "gate"))
		}
		g, err = FromFiles(files, opts)
	}
	if err != nil {
		return err
	}
	s, err := g.NewSlot()
	if err != nil {
		return err
	}
	if err := s.Guard(Guarded{Addresses: []netip.Addr{vip4, vip6}}); err != nil {
		return err
	}
	for range 10 {
		t0 := Now()
		s.Open(t0+lease, t0+2*time.Second)
		time.Sleep(lease / 6)
	}
	if role == "sleeper" {
		t0 := Now()
		fmt.Println("stopping")
		if err := unix.Kill(os.Getpid(), unix.SIGSTOP); err != nil {
			return err
		}
		s.Open(t0+lease, t0+time.Hour)
		fmt.Println("went on")
	} else {
		fmt.Println("renewed")
	}
	time.Sleep(time.Minute) // until it is killed
	return errors.New("nobody killed this process")
}

// child starts a process that plays a role in p's namespace, and returns what it
// prints.
func (p *pair) child(role string, files []*os.File) (*exec.Cmd, *bufio.Scanner) {
	p.t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.ExtraFiles = files
	out, err := cmd.StdoutPipe()
	must(p.t, err)
	must(p.t, p.do(cmd.Start)) // a thread's namespace is inherited
	p.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, bufio.NewScanner(out)
}

func wantLine(t *testing.T, lines *bufio.Scanner, want string) {
	t.Helper()
	for lines.Scan() {
		if lines.Text() == want {
			return
		}
		t.Log(lines.Text())
	}
	t.Fatalf("the other process did not say %q", want)
}

// Killed between two instructions, the owner leaves a gate that closes by itself,
// and an entry that ends by itself.
func TestKilledOwnersSlotClosesAndEndsByItself(t *testing.T) {
	p := &pair{machine: newMachine(t), peer: newMachine(t)}
	cable(p.machine, "eth0", p.peer, "eth0")
	p.dress("eth0")
	cmd, lines := p.child("owner", nil)
	wantLine(t, lines, "renewed")
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()

	mac, w := p.link("eth0").Attrs().HardwareAddr, p.far
	who := eth(broadcast, w.mac, 0x0806, arp(1, w.mac, peer4, vip4))
	echo := eth(mac, w.mac, 0x0800, echo4(peer4, vip4))
	time.Sleep(lease)
	w.wantAnswer("who-has after the lease", who, isARP(vip4), false)
	w.wantAnswer("echo after the lease", echo, isFrom4(1, vip4), false)
	p.wantOwn("eth0")
	eventually(t, 5*time.Second, "the entry ends", func() bool {
		before := w.count(isARP(vip4))
		w.send(who)
		time.Sleep(10 * time.Millisecond)
		return w.count(isARP(vip4)) > before
	})

	// A new life takes the place of the old one's filters.
	g := p.gate(nil)
	guard(t, g, 0, vip4.String(), vip6.String())
	p.wantAnswers("eth0", false)
	if in := p.filters("eth0", 0xfffffff2); in != 1 {
		t.Errorf("%d filters in, want one", in)
	}
}

// S21: a process that is stopped between reading the clock and storing the deadline
// opens nothing when it goes on.
func TestStoppedProcessProlongsNothing(t *testing.T) {
	p := newPair(t)
	files, err := p.g.Files()
	must(t, err)
	cmd, lines := p.child("sleeper", files)
	for _, f := range files {
		f.Close()
	}
	wantLine(t, lines, "stopping")
	time.Sleep(lease)
	p.wantAnswers("eth0", false)
	must(t, cmd.Process.Signal(syscall.SIGCONT))
	wantLine(t, lines, "went on")
	p.wantAnswers("eth0", false)

	// Its parent cleans up.
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	if list, err := p.g.Slots(); err != nil || len(list) != 1 || !slices.Equal(list[0].Addresses, []netip.Addr{vip4, vip6}) {
		t.Errorf("Slots = %+v, %v; want one with both addresses", list, err)
	}
	must(t, p.g.Reset())
	p.wantAnswers("eth0", true)
	if list, err := p.g.Slots(); err != nil || len(list) > 0 {
		t.Errorf("Slots after Reset = %+v, %v; want none", list, err)
	}
}

// A gate that passes from one process to the next never opens in between.
func TestHandedOverGateHasNoOpenWindow(t *testing.T) {
	p := newPair(t)
	s := guard(t, p.g, 0, vip4.String(), vip6.String())
	must(t, s.Guard(Guarded{Addresses: []netip.Addr{vip4, vip6}, Routers: []Router{{p.index("eth0"), 4, 51}}}))

	mac, w := p.link("eth0").Attrs().HardwareAddr, p.far
	echo := eth(mac, w.mac, 0x0800, echo4(peer4, vip4))
	who := eth(broadcast, w.mac, 0x0806, arp(1, w.mac, peer4, vip4))
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
				w.send(echo)
				w.send(who)
			}
		}
	}()
	var last *Gate
	for range 20 {
		files, err := p.g.Files()
		must(t, err)
		must(t, p.do(func() (err error) {
			last, err = FromFiles(files, Options{Name: "test", Log: testLog(t)})
			return err
		}))
		defer last.Close()
	}
	close(stop)
	<-ended
	time.Sleep(settle)
	if n := w.count(isFrom4(1, vip4)) + w.count(isARP(vip4)); n > 0 {
		t.Errorf("%d answers while the gate passed from one to another, want none", n)
	}

	adopted, err := last.AdoptSlot(s.Index())
	must(t, err)
	if adopted.State() != Closed || len(adopted.addresses) != 2 || !adopted.routers[Router{p.index("eth0"), 4, 51}] {
		t.Errorf("adopted slot is %v with %v and %v; want it closed with two addresses and VRID 51",
			adopted.State(), adopted.addresses, adopted.routers)
	}
	if _, err := last.AdoptSlot(s.Index()); err == nil {
		t.Error("a slot was adopted twice")
	}
	adopted.Open(Now()+time.Hour, Now()+2*time.Hour)
	p.wantAnswers("eth0", true)
	must(t, adopted.Free())
}

// Two daemons on one machine do not know of each other.
func TestGatesOfTwoNamesStandSideBySide(t *testing.T) {
	p := newPair(t)
	var other *Gate
	must(t, p.do(func() (err error) {
		other, err = New(Options{Name: "other", Log: testLog(t)})
		return err
	}))
	defer other.Close()
	mine, theirs := guard(t, p.g, time.Hour, vip4.String(), vip6.String()), guard(t, other, 0, vip4.String(), vip6.String())
	p.wantAnswers("eth0", false)
	theirs.Open(Now()+time.Hour, Now()+2*time.Hour)
	p.wantAnswers("eth0", true)
	mine.Close()
	p.wantAnswers("eth0", false)
	must(t, other.Remove())
	mine.Open(Now()+time.Hour, Now()+2*time.Hour)
	p.wantAnswers("eth0", true)
	if in := p.filters("eth0", 0xfffffff2); in != 1 {
		t.Errorf("%d filters are left, want one", in)
	}
}

// The two capabilities that the service has are enough; without CAP_BPF there is no
// gate, and the error says what would help.
func TestGateNeedsTwoCapabilities(t *testing.T) {
	m := newMachine(t)
	newWith := func(capabilities ...int) error {
		return m.do(func() error { // on a thread that ends afterwards
			header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var data [2]unix.CapUserData
			for _, c := range capabilities {
				data[c/32].Effective |= 1 << (c % 32)
				data[c/32].Permitted |= 1 << (c % 32)
			}
			if err := unix.Capset(&header, &data[0]); err != nil {
				return err
			}
			g, err := New(Options{Name: "test", Log: testLog(t)})
			if err != nil {
				return err
			}
			return g.Close()
		})
	}
	must(t, newWith(unix.CAP_NET_ADMIN, unix.CAP_BPF))
	if err := newWith(unix.CAP_NET_ADMIN); !errors.Is(err, ErrUnsupported) {
		t.Fatalf("New = %v, want %v", err, ErrUnsupported)
	}
}

func TestSlotsRunOut(t *testing.T) {
	m := newMachine(t)
	g := m.idleGate(nil)
	for range slots {
		if _, err := g.NewSlot(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := g.NewSlot(); !errors.Is(err, ErrFull) {
		t.Errorf("NewSlot = %v, want %v", err, ErrFull)
	}
}

// An address that moves from one unit to another belongs to the later one, also
// when the earlier one lets go of it afterwards.
func TestAddressBelongsToTheSlotThatGuardedItLast(t *testing.T) {
	m := newMachine(t)
	g := m.idleGate(nil)
	first := guard(t, g, time.Hour, vip4.String())
	second := guard(t, g, time.Hour, vip4.String())
	must(t, first.Free())
	list, err := g.Slots()
	if err != nil || len(list) != 1 || list[0].Index != second.Index() {
		t.Errorf("Slots = %+v, %v; want the second one only", list, err)
	}
}
