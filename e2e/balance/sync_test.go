//go:build guest

package balance_test

import (
	"fmt"
	"strings"

	"github.com/hacluster/hacluster/e2e/lab"
)

// syncDaemon has the kernels tell each other of connections, on the inner network.
const syncDaemon = `
global_defs {
	lvs_sync_daemon eth1 V4 id 7
}
`

// wantRoles waits until the kernel of a node has exactly this synchronization daemon.
func (s *site) wantRoles(n *lab.Node, role string) {
	s.t.Helper()
	lab.Want(s.t, within, fmt.Sprintf("%s: %s is %s of its connections", s.now, n.Name, role), func() (string, bool) {
		got := must(s.t, n, "ipvsadm", "-L", "--daemon")
		return got, strings.HasPrefix(got, role+" ") && strings.Contains(got, "syncid=7") && strings.Count(got, "syncid") == 1
	})
}

// wantKnown waits until the kernel of a node knows the connection of a transfer. The
// kernel of the other one sends what is new every two seconds.
func (s *site) wantKnown(n *lab.Node, x *transfer) {
	s.t.Helper()
	lab.Want(s.t, within, fmt.Sprintf("%s: %s knows the connection from %v", s.now, n.Name, x.client), func() (string, bool) {
		got := must(s.t, n, "ipvsadm", "-Lnc")
		return got, strings.Contains(got, "ESTABLISHED "+x.client.String())
	})
}
