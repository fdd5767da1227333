package lab

import (
	"path/filepath"
	"slices"
)

// KeepalivedPath is Debian's keepalived.
const KeepalivedPath = "/usr/sbin/keepalived"

// StartKeepalived runs the real keepalived, VRRP only, with a configuration
// given as text. Lines that begin with @NAME count on the node of that name, as
// they do for haclusterd. Flags come before those that the lab needs; -D makes
// its log detailed. It is scheduled as haclusterd is.
func (n *Node) StartKeepalived(conf string, flags ...string) *Process {
	n.t.Helper()
	dir := n.tempDir("keepalived")
	return n.start(daemonPriority, slices.Concat([]string{KeepalivedPath}, flags, []string{"-P", "-n", "-l", "-i", n.Name,
		"-f", n.write(dir, "keepalived.conf", conf),
		"-p", filepath.Join(dir, "parent.pid"), "-r", filepath.Join(dir, "vrrp.pid")}))
}
