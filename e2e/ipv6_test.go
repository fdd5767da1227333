package e2e

import (
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// A cluster whose members reach each other over IPv6, with an IPv4 address to
// keep: the families of the mesh and of the virtual addresses are independent.
func TestClusterOverIPv6KeepsAnIPv4Address(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	watch := lan.Watch(vip)
	var daemons []*lab.Daemon
	for _, name := range []string{"lb01", "lb02", "lb03"} {
		n := lan.Node(name)
		daemons = append(daemons, n.StartMember(lab.Control, "--advertise="+n.Addr6(lab.Control).String()))
	}
	lab.Form(t, trioConf(""), daemons...)
	watch.WantHolder(daemons[0].Node, vip, electionTime)
	for _, d := range daemons {
		wantPeers(t, d, 2)
	}
	blocked := time.Now()
	for _, d := range daemons {
		d.Node.Block(lab.VRRP, lab.Both)
	}
	wantAlert(t, daemons[1], 6*time.Second, "vrrp_channel_lost")
	lab.During(4 * time.Second)
	watch.WantHolder(daemons[0].Node, vip, time.Second)
	watch.Since(blocked).WantNeverTwo(0, vip)
}
