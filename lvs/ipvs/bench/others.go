package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	moby "github.com/moby/ipvs"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/ipvs"
)

// byMoby programs the table with moby/ipvs, one operation after the other.
func byMoby(ctx context.Context, n int, r *results) error {
	k, err := ipvs.Open(ctx)
	if err != nil {
		return err
	}
	defer k.Close()
	h, err := moby.New("")
	if err != nil {
		return err
	}
	defer h.Close()
	services := table(n)
	begin := time.Now()
	for _, s := range services {
		service := &moby.Service{
			Address: net.IP(s.Address.Addr().AsSlice()), Port: s.Address.Port(), Protocol: uint16(s.Protocol),
			AddressFamily: unix.AF_INET, Netmask: 0xffffffff, SchedName: s.Scheduler,
		}
		if err := h.NewService(service); err != nil {
			return fmt.Errorf("moby/ipvs: %w", err)
		}
		for _, server := range s.Servers {
			err := h.NewDestination(service, &moby.Destination{
				Address: net.IP(server.Address.Addr().AsSlice()), Port: server.Address.Port(), AddressFamily: unix.AF_INET,
				Weight: int(server.Weight), ConnectionFlags: moby.ConnectionFlagMasq,
			})
			if err != nil {
				return fmt.Errorf("moby/ipvs: %w", err)
			}
		}
	}
	r.moby = append(r.moby, time.Since(begin))
	return check(ctx, k, services)
}

// byIpvsadm programs the table with ipvsadm, and lists it.
func byIpvsadm(ctx context.Context, n int, r *results) error {
	k, err := ipvs.Open(ctx)
	if err != nil {
		return err
	}
	defer k.Close()
	services := table(n)
	cmd := exec.CommandContext(ctx, "/sbin/ipvsadm", "--restore")
	cmd.Stdin = strings.NewReader(ipvsadmText(services))
	begin := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ipvsadm --restore: %w: %s", err, out)
	}
	r.restore = append(r.restore, time.Since(begin))
	begin = time.Now()
	if err := exec.CommandContext(ctx, "/sbin/ipvsadm", "-Sn").Run(); err != nil {
		return fmt.Errorf("ipvsadm -Sn: %w", err)
	}
	r.save = append(r.save, time.Since(begin))
	return check(ctx, k, services)
}

// reloads is how many reloads a round has, and settle the time between two.
const (
	reloads = 3
	settle  = 2 * time.Second
)

// byKeepalived starts keepalived with the table and without checkers, and
// changes one weight by reloading.
func byKeepalived(ctx context.Context, n int, r *results) error {
	k, err := ipvs.Open(ctx)
	if err != nil {
		return err
	}
	defer k.Close()
	dir, err := os.MkdirTemp("/run", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "keepalived.conf")
	services := table(n)
	if err := os.WriteFile(file, []byte(keepalivedText(services)), 0o644); err != nil {
		return err
	}
	begin := time.Now()
	p, err := startKeepalived(ctx, dir, file)
	if err != nil {
		return err
	}
	defer p.stop()
	if err := p.until("Startup complete"); err != nil {
		return err
	}
	r.kaStart = append(r.kaStart, time.Since(begin))
	if err := check(ctx, k, services); err != nil {
		return fmt.Errorf("keepalived: %w", err)
	}
	kib, err := memory(fmt.Sprintf("/proc/%d/status", p.checker()), "VmRSS:")
	if err != nil {
		return err
	}
	r.kaMemory = append(r.kaMemory, kib)
	for i := range reloads {
		at := (i + 1) * (n / (reloads + 1))
		services = withWeight(services, at, uint32(5+i))
		if err := os.WriteFile(file, []byte(keepalivedText(services)), 0o644); err != nil {
			return err
		}
		begin := time.Now()
		if err := p.cmd.Process.Signal(unix.SIGHUP); err != nil {
			return err
		}
		if err := untilWeight(ctx, k, services[at]); err != nil {
			return fmt.Errorf("keepalived reload: %w", err)
		}
		r.kaReload = append(r.kaReload, time.Since(begin))
		time.Sleep(settle)
	}
	return nil
}

// untilWeight polls until the first server of a service has its weight.
func untilWeight(ctx context.Context, k *ipvs.Kernel, s lvs.Service) error {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		states, err := k.Read(ctx, s.Key)
		if err != nil {
			return err
		}
		if len(states) == 1 && len(lvs.Diff([]lvs.Service{s}, states, nil)) == 0 {
			return nil
		}
	}
	return errors.New("not within a minute")
}

// keepalived is one that runs.
type keepalived struct {
	cmd   *exec.Cmd
	dir   string
	lines chan string // of its log
}

func startKeepalived(ctx context.Context, dir, file string) (*keepalived, error) {
	cmd := exec.CommandContext(ctx, "/usr/sbin/keepalived", "--dont-fork", "--log-console", "--log-detail", "--check",
		"--use-file", file, "--pid", filepath.Join(dir, "pid"), "--checkers_pid", filepath.Join(dir, "checkers.pid"))
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	log, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, w.Close(), log.Close())
	}
	p := &keepalived{cmd: cmd, dir: dir, lines: make(chan string, 1<<16)}
	// The reader ends when keepalived and its children have: they hold the pipe.
	go func() {
		defer close(p.lines)
		defer log.Close()
		for s := bufio.NewScanner(log); s.Scan(); {
			select {
			case p.lines <- s.Text():
			default: // nobody waits for so many
			}
		}
	}()
	return p, w.Close()
}

// until waits for a line of the log.
func (p *keepalived) until(text string) error {
	late := time.After(time.Minute)
	var last string
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				return fmt.Errorf("keepalived ended: %s", last)
			}
			if last = line; strings.Contains(line, text) {
				return nil
			}
		case <-late:
			return fmt.Errorf("keepalived does not say %q; it said last: %s", text, last)
		}
	}
}

// checker is the process that writes the table.
func (p *keepalived) checker() int {
	b, err := os.ReadFile(filepath.Join(p.dir, "checkers.pid"))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return pid
}

// stop ends it and its children at once: how it stops is not measured.
func (p *keepalived) stop() {
	_ = unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL)
	_ = unix.Kill(p.checker(), unix.SIGKILL)
	_ = p.cmd.Wait()
}

// memory reads a line such as "VmRSS: 1234 kB" of a process.
func memory(file, name string) (kib int, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name {
			return strconv.Atoi(f[1])
		}
	}
	return 0, fmt.Errorf("%s: no line %s", file, name)
}
