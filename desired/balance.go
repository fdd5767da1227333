package desired

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/internal/run"
	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/director"
)

// Balance is what the node's load balancer should be. It is kept as it was
// compiled: Director translates it, when the accounts of its scripts can be looked
// up.
type Balance struct {
	Servers  []config.VirtualServer
	Groups   []config.ServerGroup
	Sync     config.SyncDaemon
	Timeouts config.LVSTimeouts
	Drain    time.Duration // for which a server that is not configured any more keeps its connections
	Agree    bool          // a majority of the directors takes a real server out
	Secure   bool          // enable_script_security
}

// Idle reports whether there is nothing to balance.
func (b Balance) Idle() bool { return len(b.Servers) == 0 && b.Sync.Interface == "" }

func balance(cfg *config.Config) Balance {
	return Balance{
		Servers:  cfg.VirtualServers,
		Groups:   cfg.ServerGroups,
		Sync:     cfg.Global.SyncDaemon,
		Timeouts: cfg.Global.LVSTimeouts,
		Drain:    cfg.Cluster.LVSDrain,
		Agree:    cfg.Cluster.LVSAgree,
		Secure:   cfg.Global.EnableScriptSecurity,
	}
}

// serviceScriptTimeout ends a script of a service that hangs, because the next one
// of the same service waits for it.
const serviceScriptTimeout = time.Minute

// Director translates. Account finds the account that a script runs as. Who has the
// role of sending connections changes from moment to moment: see SyncDaemons.
func (b Balance) Director(account func(User) (*run.User, error)) (director.Desired, error) {
	groups := make(map[string]config.ServerGroup, len(b.Groups))
	for _, g := range b.Groups {
		groups[g.Name] = g
	}
	t := translator{account: account, secure: b.Secure}
	d := director.Desired{Sync: b.SyncDaemons(false), Drain: b.Drain, Agree: b.Agree}
	for _, v := range b.Servers {
		s, err := t.service(v, groups[v.Group])
		if err != nil {
			return director.Desired{}, fmt.Errorf("virtual_server %s: %w", v.Name, err)
		}
		d.Services = append(d.Services, s)
	}
	return d, d.Validate()
}

// SyncDaemons are the kernel's, by whether the instance that they follow is MASTER.
// Without an instance there are both.
func (b Balance) SyncDaemons(master bool) []lvs.SyncDaemon {
	if b.Sync.Interface == "" {
		return nil
	}
	d := lvs.SyncDaemon{
		Role: lvs.SyncBackup, Interface: b.Sync.Interface, ID: uint8(b.Sync.ID), MaxLen: uint16(b.Sync.MaxLen),
		Group: b.Sync.Group, Port: b.Sync.Port, TTL: uint8(b.Sync.TTL),
	}
	sends := d
	sends.Role = lvs.SyncMaster
	switch {
	case b.Sync.Instance == "":
		return []lvs.SyncDaemon{sends, d}
	case master:
		return []lvs.SyncDaemon{sends}
	default:
		return []lvs.SyncDaemon{d}
	}
}

// Mailed reports what has smtp_alert: services by their names in director.Desired, and
// their real servers.
func (b Balance) Mailed() map[Mailed]bool {
	out := make(map[Mailed]bool)
	for _, v := range b.Servers {
		name := serviceName(v)
		if v.SMTPAlert {
			out[Mailed{Service: name}] = true
		}
		for _, r := range v.RealServers {
			if r.SMTPAlert {
				out[Mailed{name, server(v, r.Address, r.Forward, r.Weight).Address}] = true
			}
		}
	}
	return out
}

// Mailed is a service, or one of its real servers.
type Mailed struct {
	Service string
	Server  netip.AddrPort // zero: the service itself
}

// translator turns virtual servers into the director's services.
type translator struct {
	account func(User) (*run.User, error)
	secure  bool
}

func (t translator) service(v config.VirtualServer, group config.ServerGroup) (director.Service, error) {
	s := director.Service{
		Name:       serviceName(v),
		Settings:   settings(v),
		Quorum:     uint32(v.Quorum),
		Hysteresis: uint32(v.Hysteresis),
		Omega:      v.Omega,
		HASuspend:  v.HASuspend,
		Alert:      v.SMTPAlert,
	}
	for k := range v.Services(group) {
		s.Keys = append(s.Keys, key(k))
	}
	var err error
	if s.QuorumUp, err = t.script(v.QuorumUp); err != nil {
		return s, fmt.Errorf("quorum_up: %w", err)
	}
	if s.QuorumDown, err = t.script(v.QuorumDown); err != nil {
		return s, fmt.Errorf("quorum_down: %w", err)
	}
	if v.SorryServer.IsValid() {
		s.Sorry = &director.SorryServer{Server: server(v, v.SorryServer, v.SorryServerForward, 1), Inhibit: v.SorryServerInhibit}
	}
	for _, r := range v.RealServers {
		real, err := t.real(v, r)
		if err != nil {
			return s, fmt.Errorf("real_server %v: %w", r.Address, err)
		}
		s.Servers = append(s.Servers, real)
	}
	return s, nil
}

func (t translator) real(v config.VirtualServer, r config.RealServer) (director.Server, error) {
	s := director.Server{Server: server(v, r.Address, r.Forward, r.Weight), Inhibit: r.InhibitOnFailure, Alert: r.SMTPAlert}
	s.UpperThreshold, s.LowerThreshold = uint32(r.UpperThreshold), uint32(r.LowerThreshold)
	var err error
	if s.NotifyUp, err = t.script(r.NotifyUp); err != nil {
		return s, fmt.Errorf("notify_up: %w", err)
	}
	if s.NotifyDown, err = t.script(r.NotifyDown); err != nil {
		return s, fmt.Errorf("notify_down: %w", err)
	}
	for _, c := range r.Checkers {
		checker, err := t.checker(c)
		if err != nil {
			return s, fmt.Errorf("%s: %w", c.Kind, err)
		}
		s.Checks = append(s.Checks, director.Check{Checker: checker, Settings: checkSettings(c)})
	}
	return s, nil
}

// script is a command that is ready to run; without arguments there is none.
func (t translator) script(c config.Command) (run.Command, error) {
	if len(c.Argv) == 0 {
		return run.Command{}, nil
	}
	user, err := t.account(User(c.User))
	return run.Command{Argv: slices.Clone(c.Argv), User: user, Timeout: serviceScriptTimeout, Secure: t.secure}, err
}

// serviceName stays the same while the virtual server has the same clients.
func serviceName(v config.VirtualServer) string {
	if v.Group == "" {
		for k := range v.Services(config.ServerGroup{}) {
			return key(k).String()
		}
	}
	name := strings.TrimSpace(strings.ToLower(string(v.Protocol)) + " group " + v.Group)
	if v.IPv6 {
		name += " ipv6"
	}
	return name
}

func key(s config.Service) lvs.Key {
	if s.Fwmark != 0 {
		return lvs.Key{Mark: s.Fwmark, MarkFamily: family(s.IPv6)}
	}
	return lvs.Key{Address: s.Address, Protocol: map[config.Protocol]lvs.Protocol{
		config.TCP: lvs.TCP, config.UDP: lvs.UDP, config.SCTP: lvs.SCTP,
	}[s.Protocol]}
}

func family(ipv6 bool) lvs.Family {
	if ipv6 {
		return lvs.IPv6
	}
	return lvs.IPv4
}

func settings(v config.VirtualServer) lvs.Settings {
	s := lvs.Settings{Scheduler: v.Scheduler, Persistence: lvs.Persistence{
		Timeout: v.PersistenceTimeout, MaskBits: uint8(v.PersistenceBits), Engine: v.PersistenceEngine,
	}}
	for flag, set := range map[lvs.Flags]bool{
		lvs.OnePacket: v.Flags.OnePacket, lvs.Flag1: v.Flags.Flag1, lvs.Flag2: v.Flags.Flag2, lvs.Flag3: v.Flags.Flag3,
	} {
		if set {
			s.Flags |= flag
		}
	}
	return s
}

// server is a real or sorry server. In a group its port may be that of each
// service, which the director fills in.
func server(v config.VirtualServer, a netip.AddrPort, f config.Forward, weight int) lvs.Server {
	if v.Group == "" {
		for k := range v.Services(config.ServerGroup{}) {
			a = k.Server(a, f)
		}
	}
	s := lvs.Server{Address: a, Weight: uint32(weight), Method: map[config.Method]lvs.Method{
		config.NAT: lvs.NAT, config.DR: lvs.DR, config.TUN: lvs.TUN,
	}[f.Method]}
	if s.Method == lvs.TUN {
		s.Tunnel = tunnel(f)
	}
	return s
}

func tunnel(f config.Forward) lvs.Tunnel {
	return lvs.Tunnel{
		Type: map[config.Tunnel]lvs.TunnelType{config.IPIP: lvs.IPIP, config.GUE: lvs.GUE, config.GRE: lvs.GRE}[f.Tunnel],
		Port: f.Port,
		Checksum: map[config.Checksum]lvs.Checksum{
			config.NoChecksum: lvs.NoChecksum, config.OuterChecksum: lvs.OuterChecksum, config.RemoteChecksum: lvs.RemoteChecksum,
		}[f.Checksum],
	}
}
