package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// guest is the life of the first process: it runs the job and powers off.
func guest() {
	if err := serve(); err != nil {
		fmt.Println("tcg guest:", err) // on the console, which the host shows
	}
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		panic(err)
	}
}

func serve() error {
	if err := loadEarly("/modules"); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	dir, modules := option(string(line), "tcg.dir"), option(string(line), "tcg.modules")
	if err := mounts(modules); err != nil {
		return err
	}
	raw, err := os.ReadFile(filepath.Join(dir, "job"))
	if err != nil {
		return err
	}
	var j job
	if err := json.Unmarshal(raw, &j); err != nil {
		return err
	}
	now := unix.NsecToTimeval(j.Time.UnixNano())
	if err := unix.Settimeofday(&now); err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	status, err := j.run()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "status"), []byte(strconv.Itoa(status)), 0o600)
}

func loadEarly(dir string) error {
	files, err := os.ReadDir(dir) // sorted: the order of the early modules
	if err != nil {
		return err
	}
	for _, file := range files {
		f, err := os.Open(filepath.Join(dir, file.Name()))
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		f.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load %s: %w", file.Name(), err)
		}
	}
	return nil
}

func option(line, name string) string {
	for word := range strings.FieldsSeq(line) {
		if value, ok := strings.CutPrefix(word, name+"="); ok {
			return value
		}
	}
	return ""
}

// mounts makes the host's root file system this process's, with the guest's own
// kernel file systems on it.
func mounts(modules string) error {
	const root = "/root"
	if err := unix.Mount("root", root, "9p", 0, "trans=virtio,version=9p2000.L,msize=262144,cache=loose"); err != nil {
		return fmt.Errorf("mount the host's files: %w", err)
	}
	if err := os.MkdirAll(root+"/lib/modules", 0o755); err != nil {
		return err
	}
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"proc", "/proc", "proc", 0}, {"sysfs", "/sys", "sysfs", 0}, {"devtmpfs", "/dev", "devtmpfs", 0},
		{"tmpfs", "/run", "tmpfs", 0}, {"bpf", "/sys/fs/bpf", "bpf", 0}, {"cgroup2", "/sys/fs/cgroup", "cgroup2", 0},
		{root + modules, "/lib/modules", "", unix.MS_BIND},
	} {
		if err := unix.Mount(m.source, root+m.target, m.kind, m.flags, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	if err := os.Mkdir(root+"/dev/shm", 0o1777); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", root+"/dev/shm", "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount /dev/shm: %w", err)
	}
	if err := errors.Join(unix.Chroot(root), os.Chdir("/")); err != nil {
		return fmt.Errorf("enter the host's files: %w", err)
	}
	return nil
}

// run runs the job's command with the loopback up and returns its exit status.
func (j *job) run() (int, error) {
	out, err := os.OpenFile("/dev/vport1p1", os.O_WRONLY, 0)
	if err != nil {
		ports, _ := filepath.Glob("/dev/vport*")
		return 0, fmt.Errorf("the port for the output: %w; there are %v", err, ports)
	}
	defer out.Close()
	for _, kv := range j.Env {
		name, value, _ := strings.Cut(kv, "=")
		if err := os.Setenv(name, value); err != nil {
			return 0, err
		}
	}
	if text, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return 0, fmt.Errorf("bring lo up: %w: %s", err, text)
	}
	cmd := exec.Command(j.Args[0], j.Args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = j.Dir, out, out
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		if ws := exit.Sys().(syscall.WaitStatus); ws.Signaled() {
			return 128 + int(ws.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	return 0, err
}
