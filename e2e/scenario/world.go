package scenario

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// VIP is the virtual address of every world.
var VIP = netip.MustParseAddr("192.0.2.100")

// VRID is its virtual router.
const VRID = 51

// World is the machines of one run.
type World struct {
	T       lab.T
	Subject Subject
	LAN     *lab.LAN
	Watch   *lab.Watcher

	Nodes     []*lab.Node    // in the order of their priorities: the first holds at the strike
	Processes []*lab.Process // that run on them
	Daemons   []*lab.Daemon  // the same, unless it is keepalived
	Witness   *lab.Daemon    // nil without one
	Gateway   *lab.Node      // nil without one

	Struck time.Time // when the fault began
	Healed time.Time // when it was taken back; zero: not

	row    Scenario
	feeds  []lab.AlertFeed
	frozen *lab.Freezer
}

// settling is time for what follows an election: leases that are renewed, peers
// whose records have been heard both ways.
const settling = time.Second

// build starts everything and waits until the first member holds. The result
// learns how long the machine stood still.
func build(t lab.T, row Scenario, subject Subject, r *Result) *World {
	t.Helper()
	w := &World{T: t, Subject: subject, LAN: lab.New(t), row: row}
	count := row.Shape.Nodes
	if count == 0 {
		count = len(priorities)
	}
	for i := range count {
		w.Nodes = append(w.Nodes, w.LAN.Node(fmt.Sprintf("lb%02d", i+1)))
	}
	if row.Shape.Gateway {
		w.Gateway = w.LAN.Host("gateway")
	}
	w.Watch = w.LAN.Watch(VIP)
	t.Cleanup(func() { r.Stall = w.Watch.All().Stall() })
	if subject == Keepalived {
		for _, n := range w.Nodes {
			w.Processes = append(w.Processes, n.StartKeepalived(w.document(subject), "-D"))
		}
	} else {
		w.form()
	}
	// Last, so that it holds when the fault strikes. A node that a busy machine
	// has let stand still proves its health for three Master_Down_Intervals.
	w.Watch.WantHolder(w.Nodes[0], VIP, 7*time.Second+3*row.MasterDown(0))
	w.Watch.WantMaster(w.Nodes[0], 4, VRID, 3*row.advert()+time.Second)
	lab.During(settling)
	return w
}

// form makes a cluster of the members.
func (w *World) form() {
	w.T.Helper()
	mesh := lab.Control
	if w.row.Shape.SameNet {
		mesh = lab.Service
	}
	for _, n := range w.Nodes {
		d := n.StartMember(mesh)
		w.Daemons = append(w.Daemons, d)
		w.Processes = append(w.Processes, d.Process)
	}
	conf := w.document(w.Subject)
	if w.Subject == Quorum {
		conf = "" // it asks for three voters, which have to join first
	}
	lab.Form(w.T, conf, w.Daemons...)
	members := len(w.Daemons)
	if w.row.Shape.Witness {
		w.Witness = w.LAN.Node("witness").StartMember(mesh)
		w.Witness.JoinAsWitness(w.Daemons[0])
		members++
	}
	for _, d := range w.Daemons {
		d.WantAlive(members, 10*time.Second)
	}
	if w.Subject == Quorum {
		for _, d := range w.Daemons {
			d.WantElectorate(members, 20*time.Second)
		}
		edit := w.Nodes[0].WriteFile("quorum.conf", w.document(Quorum))
		w.Daemons[0].MustCtl("config", "apply", edit, "--yes")
	}
}

// document is the configuration of all members for a subject.
func (w *World) document(subject Subject) string {
	var b strings.Builder
	b.WriteString("global_defs {\n\tvrrp_version 3\n}\n")
	if subject != Keepalived && w.Gateway != nil {
		fmt.Fprintf(&b, "cluster {\n\tgateway_probe %v\n}\n", w.Gateway.Addr4(lab.Service))
	}
	fmt.Fprintf(&b, "vrrp_instance VI_1 {\n\tinterface eth0\n\tvirtual_router_id %d\n\tadvert_int %g\n", VRID, w.row.advert().Seconds())
	for i, n := range w.Nodes {
		fmt.Fprintf(&b, "\t@%s priority %d\n", n.Name, priorities[i])
	}
	if subject == Quorum {
		b.WriteString("\tsplit_brain {\n\t\tpolicy quorum\n\t}\n")
	}
	if w.row.Words != "" {
		fmt.Fprintf(&b, "\t%s\n", w.row.Words)
	}
	fmt.Fprintf(&b, "\tvirtual_ipaddress {\n\t\t%v\n\t}\n}\n", VIP)
	return b.String()
}

// Others are all members but one.
func (w *World) Others(but int) []*lab.Node {
	var others []*lab.Node
	for i, n := range w.Nodes {
		if i != but {
			others = append(others, n)
		}
	}
	if w.Witness != nil {
		others = append(others, w.Witness.Node)
	}
	return others
}

// Everybody are all members, witness included.
func (w *World) Everybody() []*lab.Node { return w.Others(-1) }
