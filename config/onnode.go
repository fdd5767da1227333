package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Env is what a machine knows that a document does not.
type Env interface {
	// HasInterface reports whether a network interface exists.
	HasInterface(name string) bool
	// Program says why a program cannot be run as the given account, or why it
	// is not safe to run it as root. A nil error means neither.
	Program(path string, user User) error
}

// CheckOnNode finds what is missing on the machine that is to run the
// configuration: interfaces, programs. These are warnings, because a document is
// often checked before the machine is ready; with strict they are errors.
func CheckOnNode(cfg *Config, env Env, strict bool) Findings {
	n := nodeCheck{cfg: cfg, env: env, severity: Warning, seen: map[string]bool{}}
	if strict {
		n.severity = Error
	}
	for _, in := range cfg.Instances {
		path := "vrrp_instance " + in.Name
		n.iface(path, "interface", in.Interface)
		for _, a := range in.Addresses {
			n.iface(path, "virtual_ipaddress", a.Interface)
		}
		for _, a := range in.Excluded {
			n.iface(path, "virtual_ipaddress_excluded", a.Interface)
		}
		for _, r := range in.Routes {
			n.iface(path, "virtual_routes", r.Interface)
		}
		n.tracks(path, in.Tracks)
		n.notify(path, in.Notify)
	}
	for _, g := range cfg.Groups {
		n.tracks("vrrp_sync_group "+g.Name, g.Tracks)
		n.notify("vrrp_sync_group "+g.Name, g.Notify)
	}
	for _, s := range cfg.Scripts {
		n.program("vrrp_script "+s.Name, "script", s.Command)
	}
	for _, a := range cfg.Addresses {
		n.iface("static_ipaddress", "", a.Interface)
	}
	for _, r := range cfg.Routes {
		n.iface("static_routes", "", r.Interface)
	}
	n.virtualServers()
	n.iface("global_defs", "lvs_sync_daemon", cfg.Global.SyncDaemon.Interface)
	n.iface("cluster", "mesh_interface", cfg.Cluster.MeshInterface)
	n.program("cluster", "alert_script", cfg.Cluster.Alerts.Script)
	for _, u := range cfg.unitViews() {
		for _, a := range u.sb.Fencing.Agents {
			if a.Node != cfg.Node { // a node does not fence itself
				n.program(u.path, inSplitBrain("fence_agent "+a.Node), Command{Argv: []string{a.Program}})
			}
		}
	}
	return n.findings.sorted()
}

// nodeCheck is one run of CheckOnNode.
type nodeCheck struct {
	cfg      *Config
	env      Env
	severity Severity
	findings Findings
	seen     map[string]bool // findings made, so that each is made once
}

func (n *nodeCheck) add(path, word, key, format string, args ...any) {
	if n.seen[key] {
		return
	}
	n.seen[key] = true
	n.findings = append(n.findings, Finding{Severity: n.severity, Pos: n.cfg.Place(path, word), Msg: fmt.Sprintf(format, args...)})
}

func (n *nodeCheck) iface(path, word, name string) {
	if name == "" || n.env.HasInterface(name) {
		return
	}
	n.add(path, word, "interface "+name, "interface %s does not exist on this machine", name)
}

func (n *nodeCheck) tracks(path string, tracks []Track) {
	for _, t := range tracks {
		if t.Kind == TrackInterface {
			n.iface(path, "track_interface", t.Name)
		}
	}
}

func (n *nodeCheck) notify(path string, c Notify) {
	for _, cmd := range []struct {
		word string
		Command
	}{
		{"notify_master", c.Master}, {"notify_backup", c.Backup}, {"notify_fault", c.Fault}, {"notify_stop", c.Stop},
		{"notify_deleted", c.Deleted}, {"notify", c.Any}, {"notify_master_rx_lower_pri", c.MasterRxLowerPri},
	} {
		n.program(path, cmd.word, cmd.Command)
	}
}

// virtualServers looks at the programs and interfaces of virtual servers.
func (n *nodeCheck) virtualServers() {
	for _, v := range n.cfg.VirtualServers {
		path := "virtual_server " + v.Name
		n.program(path, "quorum_up", v.QuorumUp)
		n.program(path, "quorum_down", v.QuorumDown)
		for _, r := range v.RealServers {
			n.program(path, inReal(r.Address, "notify_up"), r.NotifyUp)
			n.program(path, inReal(r.Address, "notify_down"), r.NotifyDown)
			for _, k := range r.Checkers {
				n.iface(path, inReal(r.Address, string(k.Kind)), k.BindInterface)
				if k.Misc != nil {
					n.program(path, inReal(r.Address, string(k.Kind)), k.Misc.Command)
				}
			}
		}
	}
}

func (n *nodeCheck) program(path, word string, c Command) {
	if len(c.Argv) == 0 {
		return
	}
	if err := n.env.Program(c.Argv[0], c.User); err != nil {
		n.add(path, word, "program "+c.Argv[0]+" "+c.User.Name, "%s of %s: %v", strings.TrimPrefix(word, inSplitBrain("")), path, err)
	}
}

// unique returns the sorted names without repetitions.
func unique[T cmp.Ordered](in []T) []T {
	out := slices.Clone(in)
	slices.Sort(out)
	return slices.Compact(out)
}
