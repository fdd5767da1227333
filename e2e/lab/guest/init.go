package guest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// moduleDir is where Debian has the guest kernel's modules; modprobe looks
// elsewhere, so it gets a root directory in which they are where it looks.
const (
	moduleDir  = "/usr/lib/uml/modules"
	moduleRoot = "/run/guest"
)

// Main is process 1 of the guest, where it does not return. Anywhere else it
// does nothing.
func Main() {
	state := os.Getenv(stateVar)
	if os.Getpid() != 1 || state == "" {
		return
	}
	var r result
	if err := setUp(); err != nil {
		r.Err = err.Error()
	} else if r.Status, err = runJob(state); err != nil {
		r.Err = err.Error()
	}
	if err := writeFile(state, resultFile, r); err != nil {
		fmt.Println("guest:", err) // to the console: the host reports that there is no result
	}
	unix.Sync()
	err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	fmt.Println("guest: power off:", err)
	os.Exit(1) // panics the kernel, which ends it too
}

// setUp makes of a bare kernel a machine that programs know.
func setUp() error {
	if err := os.Setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"); err != nil {
		return err
	}
	for _, m := range []struct{ kind, at, options string }{
		{"proc", "/proc", ""},
		{"sysfs", "/sys", ""},
		{"cgroup2", "/sys/fs/cgroup", ""},
		{"bpf", "/sys/fs/bpf", ""},
		{"tmpfs", "/run", "mode=755"},
		{"tmpfs", "/dev/shm", "mode=1777"},
		{"devpts", "/dev/pts", "mode=620,ptmxmode=666"},
	} {
		optional := m.kind == "cgroup2" || m.kind == "bpf"
		err := os.MkdirAll(m.at, 0o755)
		if err == nil {
			err = unix.Mount(m.kind, m.at, m.kind, 0, m.options)
		}
		if err != nil && !optional {
			return fmt.Errorf("mount %s on %s: %w", m.kind, m.at, err)
		}
	}
	for _, dir := range []string{"/run/lock", "/run/netns"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"} {
		if err := os.Symlink(target, "/dev/"+name); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	if err := unix.Sethostname([]byte("guest")); err != nil {
		return err
	}
	if err := loadModules("ipv6", "ip_vs"); err != nil {
		return err
	}
	// The tunnel modules would put tunl0, sit0 and others into every namespace.
	if err := os.WriteFile("/proc/sys/net/core/fb_tunnels_only_for_init_net", []byte("1"), 0); err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 65536, Max: 65536})
}

// loadModules makes modprobe work, for the kernel as well, which loads
// schedulers, link types and matches when they are first named, and loads those
// that nobody does.
func loadModules(names ...string) error {
	if err := os.MkdirAll(moduleRoot+"/usr/lib", 0o755); err != nil {
		return err
	}
	for link, target := range map[string]string{"/usr/lib/modules": moduleDir, "/lib": "usr/lib"} {
		if err := os.Symlink(target, moduleRoot+link); err != nil {
			return err
		}
	}
	wrapper := moduleRoot + "/modprobe"
	if err := os.WriteFile(wrapper, []byte("#!/bin/sh\nexec modprobe -d "+moduleRoot+" \"$@\"\n"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/kernel/modprobe", []byte(wrapper), 0); err != nil {
		return err
	}
	if out, err := exec.Command(wrapper, append([]string{"-a"}, names...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("load modules: %w: %s", err, out)
	}
	return nil
}

// runJob runs the command, and reaps whatever is left to process 1 meanwhile.
func runJob(state string) (status int, err error) {
	var j job
	if err := readFile(state, jobFile, &j); err != nil {
		return 0, err
	}
	files := make([]*os.File, 3)
	for i, name := range []string{os.DevNull, filepath.Join(state, stdoutFile), filepath.Join(state, stderrFile)} {
		if files[i], err = os.OpenFile(name, os.O_RDWR|os.O_APPEND, 0); err != nil {
			return 0, err
		}
	}
	if err := os.Chdir(j.Dir); err != nil {
		return 0, err
	}
	path, err := exec.LookPath(j.Argv[0])
	if err != nil {
		return 0, err
	}
	unix.Umask(j.Umask)
	p, err := os.StartProcess(path, j.Argv, &os.ProcAttr{
		Env:   append(j.Env, "MODPROBE_OPTIONS=-d "+moduleRoot),
		Files: files,
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0, err
	}
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, fmt.Errorf("wait: %w", err)
		case pid == p.Pid && ws.Signaled():
			return 128 + int(ws.Signal()), nil
		case pid == p.Pid:
			return ws.ExitStatus(), nil
		}
	}
}
