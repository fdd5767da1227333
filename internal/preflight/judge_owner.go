package preflight

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// owners looks for nodes that would not hear the owner of an address (RFC 9568 section
// 6.1, priority 255) come back while they hold it: the owner advertises from that very
// address. Of a machine outside the cluster that cannot be known, so the owner that has
// no other member on its network says what those need.
func (j *judge) owners() {
	for _, owner := range j.reports {
		for _, n := range owner.Networks {
			if n.IPv6 || !slices.Contains(n.VIPs, n.Source) {
				continue
			}
			shared := false
			for _, other := range j.reports {
				theirs, shares := other.shares(n)
				if other == owner || !shares {
					continue
				}
				shared = true
				if theirs.DropsOwn {
					j.add(deaf(Warning, other.Node, theirs.Interface, fmt.Sprintf(
						"%s does not hear the adverts of %s, the owner of %v, while it holds that address: only heartbeats tell it that %s is back",
						other.Node, owner.Node, n.Source, owner.Node)))
				}
			}
			if !shared {
				j.add(deaf(Note, owner.Node, n.Interface, fmt.Sprintf(
					"%s is the owner of %v: another machine that holds this address meanwhile hears its adverts only with accept_local", owner.Node, n.Source)))
			}
		}
	}
}

func deaf(severity Severity, node, iface, summary string) Finding {
	where := "on " + node
	if severity == Note {
		where = "on the other machines"
	}
	return Finding{
		Severity: severity, Check: "owner", Node: node, Summary: summary,
		Evidence: []string{"Linux drops packets from an address that the machine has itself, unless accept_local is 1"},
		Remedy: fmt.Sprintf("sysctl net.ipv4.conf.%s.accept_local=1 %s, for good by a file in /etc/sysctl.d; or a priority below 255, and an address of its own for the owner",
			strings.ReplaceAll(iface, ".", "/"), where),
	}
}

// dropsOwn reads whether the kernel drops what comes from the machine's own addresses.
// Either setting is enough to take it. What cannot be read is no finding.
func dropsOwn(root, iface string) bool {
	for _, conf := range []string{"all", iface} {
		text, err := os.ReadFile(filepath.Join(root, "proc/sys/net/ipv4/conf", conf, "accept_local"))
		if err != nil || strings.TrimSpace(string(text)) != "0" {
			return false
		}
	}
	return true
}
