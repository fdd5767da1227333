package preflight

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine looks at how this machine is set up for the daemon that runs here, with
// the interfaces of its virtual addresses. Root is / but in tests.
func Machine(root, node string, interfaces []string) []Finding {
	out := []Finding{realtime(node)}
	for _, name := range interfaces {
		ifi, err := net.InterfaceByName(name)
		if err != nil {
			out = append(out, Finding{
				Severity: Error, Check: "interface", Node: node, Summary: fmt.Sprintf("%s has no interface %s: its instances are FAULT there", node, name),
				Remedy: "make it, or name another one in the configuration",
			})
			continue
		}
		out = append(out, managers(root, node, ifi)...)
	}
	return out
}

// realtime looks how the daemon is scheduled. The main thread's policy is that of
// all (the unit sets it for the process).
func realtime(node string) Finding {
	attr, err := unix.SchedGetAttr(0, 0)
	if err == nil && (attr.Policy == unix.SCHED_RR || attr.Policy == unix.SCHED_FIFO) {
		return Finding{Severity: OK, Check: "realtime", Node: node, Summary: "haclusterd of " + node + " runs at real-time priority"}
	}
	return Finding{
		Severity: Note, Check: "realtime", Node: node,
		Summary: "haclusterd of " + node + " does not run at real-time priority: on a busy machine adverts may be late, most of all below an advert_int of 0.1",
		Remedy:  "start it by its systemd unit, which asks for CPUSchedulingPolicy=rr",
	}
}

// managers looks for programs that take addresses from an interface which they did
// not add.
func managers(root, node string, ifi *net.Interface) []Finding {
	var out []Finding
	index := strconv.Itoa(ifi.Index)
	if text, err := os.ReadFile(filepath.Join(root, "run/NetworkManager/devices", index)); err == nil && slices.Contains(lines(text), "managed=true") {
		out = append(out, Finding{
			Severity: Note, Check: "manager", Node: node,
			Summary: fmt.Sprintf("NetworkManager manages %s of %s: when it sets the interface up anew, virtual addresses are gone until hacluster restores them", ifi.Name, node),
			Remedy:  fmt.Sprintf("avoid nmcli device reapply and connection changes on the holder, or nmcli device set %s managed no", ifi.Name),
		})
	}
	text, err := os.ReadFile(filepath.Join(root, "run/systemd/netif/links", index))
	if state := lines(text); err == nil && slices.Contains(state, "ADMIN_STATE=configured") && !keepsConfiguration(root, state) {
		out = append(out, Finding{
			Severity: Note, Check: "manager", Node: node,
			Summary: fmt.Sprintf("systemd-networkd manages %s of %s: at its restart it removes addresses that it did not add, until hacluster restores them", ifi.Name, node),
			Remedy:  fmt.Sprintf("KeepConfiguration=yes in the .network file of %s", ifi.Name),
		})
	}
	return out
}

// keepsConfiguration reports whether the .network file that systemd-networkd uses
// lets addresses stay that others have added.
func keepsConfiguration(root string, state []string) bool {
	for _, line := range state {
		if file, ok := strings.CutPrefix(line, "NETWORK_FILE="); ok {
			text, err := os.ReadFile(filepath.Join(root, file))
			return err == nil && (slices.Contains(lines(text), "KeepConfiguration=yes") || slices.Contains(lines(text), "KeepConfiguration=static"))
		}
	}
	return false
}

func lines(text []byte) []string { return strings.Split(string(text), "\n") }
