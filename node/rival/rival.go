package rival

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/vrrp"
)

// program is the program that must not run our virtual routers beside us: each
// would take the other's adverts for its own.
const program = "keepalived"

// Check refuses units that a keepalived on this machine, in this network
// namespace, runs as well.
func Check(state desired.State) error {
	pids, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return err
	}
	for _, comm := range pids {
		name, err := os.ReadFile(comm)
		if err != nil || strings.TrimSpace(string(name)) != program {
			continue
		}
		dir := filepath.Dir(comm)
		if !sameNetwork(dir) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		file, id := configOf(dir)
		if err := clash(pid, file, id, state); err != nil {
			return err
		}
	}
	return nil
}

// sameNetwork compares a file of /proc/PID/net, which is one file for each
// network namespace. The link /proc/PID/ns/net would need CAP_SYS_PTRACE, which
// the unit does not give.
func sameNetwork(procDir string) bool {
	own, err := os.Stat("/proc/self/net/dev")
	if err != nil {
		return false
	}
	its, err := os.Stat(filepath.Join(procDir, "net/dev"))
	return err == nil && os.SameFile(own, its)
}

// configOf is the configuration that the keepalived of a /proc directory
// reads, and the name that its @ lines compare with.
func configOf(procDir string) (file, id string) {
	file = "/etc/keepalived/keepalived.conf"
	data, err := os.ReadFile(filepath.Join(procDir, "cmdline"))
	if err != nil {
		return file, ""
	}
	args := strings.Split(strings.TrimRight(string(data), "\x00"), "\x00")
	for i, arg := range args {
		option, value, joined := strings.Cut(arg, "=")
		if !joined && i+1 < len(args) {
			value = args[i+1]
		}
		switch option {
		case "-f", "--use-file":
			file = value
		case "-i", "--config-id":
			id = value
		}
	}
	if !filepath.IsAbs(file) {
		if cwd, err := os.Readlink(filepath.Join(procDir, "cwd")); err == nil {
			file = filepath.Join(cwd, file)
		}
	}
	return file, id
}

// clash compares our units with what the file says for this machine. A file that
// cannot be read or understood is no reason to refuse.
func clash(pid int, file, id string, state desired.State) error {
	cfg, _, err := config.CheckFile(file, id)
	if err != nil {
		return nil
	}
	for _, u := range state.Units {
		for _, own := range u.Spec.Instances {
			if slices.ContainsFunc(cfg.Instances, func(its config.Instance) bool {
				return its.Interface == own.Interface && its.VRID == int(own.VRID) && its.IPv6 == (own.Family == vrrp.IPv6)
			}) {
				return fmt.Errorf("keepalived (pid %d, %s) runs virtual router %d (%s) on %s on this machine, as %s would: stop it first, for example by systemctl disable --now keepalived",
					pid, file, own.VRID, own.Family, own.Interface, own.Name)
			}
		}
	}
	return nil
}
