package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

const (
	netnsDir   = "/run/netns"
	namePrefix = "hac-"
)

// namespace is a named network namespace with a netlink handle into it.
type namespace struct {
	name string
	fd   netns.NsHandle
	nl   *netlink.Handle
}

// newNamespace makes the namespace; the caller's thread stays where it is.
func newNamespace(name string) (*namespace, error) {
	n := &namespace{name: name}
	err := onOwnThread(func() (err error) {
		n.fd, err = netns.NewNamed(name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make network namespace %s (root?): %w", name, err)
	}
	n.nl, err = netlink.NewHandleAt(n.fd)
	if err != nil {
		return nil, fmt.Errorf("open netlink in namespace %s: %w", name, err)
	}
	return n, nil
}

// do runs f on a thread that is in the namespace. Sockets that f opens and
// processes that it starts stay there.
func (n *namespace) do(f func() error) error {
	return onOwnThread(func() error {
		if err := netns.Set(n.fd); err != nil {
			return fmt.Errorf("enter namespace %s: %w", n.name, err)
		}
		return f()
	})
}

// onOwnThread runs f on a locked thread and puts that back into the namespace
// of the machine. A thread that cannot go back stays locked, so it ends with
// its goroutine and serves nobody else.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := netns.Get()
		if err != nil {
			done <- err
			return
		}
		defer home.Close()
		err = f()
		if netns.Set(home) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// close ends every process in the namespace and removes it.
func (n *namespace) close() {
	killProcesses(n.name)
	n.nl.Close()
	n.fd.Close()
	_ = netns.DeleteNamed(n.name) // gone already is what was wanted
}

// sysctl sets a value below /proc/sys/net, as the namespace sees it.
func (n *namespace) sysctl(key, value string) error {
	return n.do(func() error {
		path := filepath.Join("/proc/sys/net", key)
		if err := os.WriteFile(path, []byte(value), 0); err != nil {
			return fmt.Errorf("set %s to %s in %s: %w", path, value, n.name, err)
		}
		return nil
	})
}

// killProcesses ends every process whose network namespace is the named one.
func killProcesses(name string) {
	want, err := os.Stat(filepath.Join(netnsDir, name))
	if err != nil {
		return
	}
	for range 3 { // a process may have forked while the first pass ran
		found := false
		procs, _ := filepath.Glob("/proc/[0-9]*/ns/net")
		for _, p := range procs {
			pid, _ := strconv.Atoi(strings.Split(p, "/")[2])
			if got, err := os.Stat(p); err == nil && os.SameFile(want, got) && pid != os.Getpid() {
				found = true
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		if !found {
			return
		}
	}
}
