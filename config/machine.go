package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/hacluster/hacluster/internal/run"
)

// Machine is the Env of the machine that this process runs on.
type Machine struct{}

// HasInterface implements Env.
func (Machine) HasInterface(name string) bool {
	_, err := net.InterfaceByName(name)
	return err == nil
}

// HasProgram reports whether the program of a command exists, with its path or
// in run.Path. One that exists and cannot be run is another matter.
func (Machine) HasProgram(program string) bool {
	exists := func(file string) bool {
		_, err := os.Stat(file)
		return !errors.Is(err, fs.ErrNotExist)
	}
	if strings.Contains(program, "/") {
		return exists(program)
	}
	return slices.ContainsFunc(filepath.SplitList(run.Path), func(dir string) bool { return exists(filepath.Join(dir, program)) })
}

// Program implements Env. As keepalived does with enable_script_security, it
// calls a program unsafe for root when somebody else may write to it or to a
// directory above it.
func (Machine) Program(path string, as User) error {
	if as.Name != "" {
		if _, err := user.Lookup(as.Name); err != nil {
			return fmt.Errorf("account %s does not exist on this machine", as.Name)
		}
	}
	found, err := exec.LookPath(path)
	if err != nil {
		return fmt.Errorf("%s is not an executable file on this machine", path)
	}
	real, err := filepath.EvalSymlinks(found)
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", path, err)
	}
	if as.Name != "" && as.Name != "root" {
		return nil
	}
	for p := real; ; p = filepath.Dir(p) {
		st, err := os.Stat(p)
		if err != nil {
			return fmt.Errorf("%s cannot be read: %w", p, err)
		}
		sys, ok := st.Sys().(*syscall.Stat_t)
		sticky := st.IsDir() && st.Mode()&os.ModeSticky != 0
		if ok && (sys.Uid != 0 || st.Mode().Perm()&0o002 != 0 && !sticky || st.Mode().Perm()&0o020 != 0 && sys.Gid != 0) {
			return fmt.Errorf("%s would run as root, but others than root may change %s; make it root's, or name another script_user", path, p)
		}
		if p == filepath.Dir(p) {
			return nil
		}
	}
}
