package desired

import (
	"cmp"
	"slices"
	"time"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/vrrp"
	"github.com/hacluster/hacluster/vrrp/packet"
)

// For gives what the node of the configuration should run. The configuration
// must have compiled without errors. Units come in the order of the document: a
// group stands where its first member does.
func For(cfg *config.Config) State {
	s := State{
		Daemon: daemon(cfg),
		Mesh: Mesh{
			HeartbeatInterval: cfg.Cluster.HeartbeatInterval,
			Interface:         cfg.Cluster.MeshInterface,
			GatewayProbe:      slices.Clone(cfg.Cluster.GatewayProbe),
			AloneAfter:        cfg.Cluster.AloneAfter,
		},
		Alerts:    alerts(cfg.Cluster.Alerts),
		Addresses: addresses(cfg.Addresses, cfg.Global.DefaultInterface),
		Routes:    routes(cfg.Routes),
		Balance:   balance(cfg),
	}
	instances := make(map[string]config.Instance, len(cfg.Instances))
	for _, in := range cfg.Instances {
		instances[in.Name] = in
	}
	group := map[string]*config.SyncGroup{}
	for i, g := range cfg.Groups {
		for _, m := range g.Members {
			group[m] = &cfg.Groups[i]
		}
	}
	done := map[string]bool{}
	for _, in := range cfg.Instances {
		g := group[in.Name]
		switch {
		case g == nil:
			s.Units = append(s.Units, unit(in))
		case !done[g.Name]:
			done[g.Name] = true
			s.Units = append(s.Units, groupUnit(g, instances))
		}
	}
	s.Scripts = scripts(cfg)
	return s
}

func daemon(cfg *config.Config) Daemon {
	g := cfg.Global
	return Daemon{
		RouterID:             cmp.Or(g.RouterID, cfg.Node),
		StartupDelay:         g.StartupDelay,
		DelayAfterBoot:       g.DelayAfterBoot,
		ScriptUser:           User(g.ScriptUser),
		EnableScriptSecurity: g.EnableScriptSecurity,
		Mail: Mail{
			Server:        g.SMTPServer,
			Port:          g.SMTPPort,
			Helo:          g.SMTPHelo,
			From:          g.EmailFrom,
			To:            slices.Clone(g.NotificationEmail),
			Timeout:       g.SMTPTimeout,
			NoEmailFaults: g.NoEmailFaults,
		},
	}
}

// unit is one instance in no group.
func unit(in config.Instance) Unit {
	u := Unit{
		Spec:       vrrp.UnitSpec{Name: in.Name, Instances: []vrrp.InstanceSpec{instance(in, nil)}},
		Instances:  map[string]Notify{in.Name: notify(in.Notify)},
		Alerts:     map[string]bool{in.Name: in.SMTPAlert},
		SplitBrain: splitBrain(in.SplitBrain, in.AdvertInterval),
	}
	u.judgeStrangers()
	return u
}

// judgeStrangers says what the unit's instances do with adverts of routers that
// are no members of the cluster.
func (u *Unit) judgeStrangers() {
	strangers := vrrp.RefuseDisjoint
	switch {
	case u.SplitBrain.Policy == string(config.PolicyOff):
		strangers = vrrp.FollowStrangers
	case !u.SplitBrain.FollowForeign:
		strangers = vrrp.IgnoreStrangers
	}
	for i := range u.Spec.Instances {
		wire := &u.Spec.Instances[i].Wire
		wire.Strangers, wire.AllowForeign = strangers, u.SplitBrain.AllowForeign
	}
}

// groupUnit is a sync group with its members.
func groupUnit(g *config.SyncGroup, instances map[string]config.Instance) Unit {
	u := Unit{
		Spec:      vrrp.UnitSpec{Name: g.Name, Group: true},
		Notify:    notify(g.Notify),
		SMTPAlert: g.SMTPAlert,
		Instances: map[string]Notify{},
		Alerts:    map[string]bool{},
	}
	var slowest time.Duration
	for _, m := range g.Members {
		in := instances[m]
		u.Spec.Instances = append(u.Spec.Instances, instance(in, g.Tracks))
		u.Instances[m] = notify(in.Notify)
		u.Alerts[m] = in.SMTPAlert
		slowest = max(slowest, in.AdvertInterval)
	}
	u.SplitBrain = splitBrain(g.SplitBrain, slowest)
	u.judgeStrangers()
	return u
}

// instance translates one virtual router. Group tracks are every member's.
func instance(in config.Instance, group []config.Track) vrrp.InstanceSpec {
	spec := vrrp.InstanceSpec{
		Name:                 in.Name,
		Interface:            in.Interface,
		Family:               vrrp.IPv4,
		VRID:                 vrrp.VRID(in.VRID),
		Version:              in.Version,
		StartMaster:          in.StartMaster,
		Priority:             vrrp.Priority(in.Priority),
		AdvertInterval:       in.AdvertInterval,
		DownTimerAdverts:     in.DownTimerAdverts,
		Preempt:              in.Preempt,
		PreemptDelay:         in.PreemptDelay,
		LowerPrioNoAdvert:    in.LowerPrioNoAdvert,
		HigherPrioSendAdvert: in.HigherPrioSendAdvert,
		OwnerIgnoreAdverts:   in.OwnerIgnoreAdverts,
		DontTrackPrimary:     in.DontTrackPrimary,
		TrackSource:          in.TrackSource,
		Addresses:            addresses(in.Addresses, in.Interface),
		Excluded:             addresses(in.Excluded, in.Interface),
		Routes:               routes(in.Routes),
		Wire:                 wire(in),
		Announce:             vrrp.Announce(in.Announce),
	}
	if in.IPv6 {
		spec.Family = vrrp.IPv6
	}
	spec.Tracks = tracks(in, group, spec.Addresses, spec.Excluded)
	return spec
}

// tracks lists what an instance watches: its own interface first, unless it
// says not to, then what it and its group name, then the interfaces on which it
// puts addresses. Each key stands once, with the weight of the first.
func tracks(in config.Instance, group []config.Track, addrs ...[]vrrp.Address) []vrrp.Track {
	var out []vrrp.Track
	add := func(t vrrp.Track) {
		if !slices.ContainsFunc(out, func(o vrrp.Track) bool { return o.Key == t.Key }) {
			out = append(out, t)
		}
	}
	if !in.DontTrackPrimary {
		add(vrrp.Track{Key: InterfaceKey(in.Interface)})
	}
	for _, t := range slices.Concat(in.Tracks, group) {
		key := InterfaceKey(t.Name)
		if t.Kind == config.TrackScript {
			key = ScriptKey(t.Name)
		}
		add(vrrp.Track{Key: key, Weight: t.Weight, Reverse: t.Reverse})
	}
	for _, list := range addrs {
		for _, a := range list {
			if a.Interface != in.Interface {
				add(vrrp.Track{Key: InterfaceKey(a.Interface)})
			}
		}
	}
	return out
}

// wire translates how an instance speaks.
func wire(in config.Instance) vrrp.Wire {
	w := vrrp.Wire{
		Group:            in.MulticastGroup,
		Source:           in.Source,
		Unicast:          in.Unicast,
		UnicastTTL:       in.UnicastTTL,
		CheckSource:      in.CheckUnicastSource,
		SkipCheckAddrs:   in.SkipCheckAddresses,
		NoChecksumDetect: in.NoOldUnicastChecksum,
	}
	if in.AuthType == "PASS" {
		w.Auth = packet.AuthPass
		copy(w.AuthData[:], in.AuthPass)
	}
	switch {
	case in.V3ChecksumAsV2:
		w.Checksum = packet.ChecksumPlain
	case in.OldUnicastChecksum:
		w.Checksum = packet.ChecksumGroup
	}
	for _, p := range in.Peers {
		w.Peers = append(w.Peers, vrrp.Peer(p))
	}
	return w
}

// addresses translates address lines; those without dev go to iface.
func addresses(in []config.Address, iface string) []vrrp.Address {
	var out []vrrp.Address
	for _, a := range in {
		v := vrrp.Address(a)
		v.Interface = cmp.Or(a.Interface, iface)
		out = append(out, v)
	}
	return out
}

// routes translates route lines.
func routes(in []config.Route) []vrrp.Route {
	var out []vrrp.Route
	for _, r := range in {
		out = append(out, vrrp.Route{
			Dst: r.Dst, Via: r.Via, Source: r.Source, Interface: r.Interface,
			Table: r.Table, Metric: r.Metric, Scope: r.Scope, OnLink: r.OnLink, Type: r.Type,
		})
	}
	return out
}

func alerts(a config.Alerts) Alerts {
	return Alerts{
		Level:    string(a.Level),
		Script:   command(a.Script),
		Webhooks: slices.Clone(a.Webhooks),
		Email:    slices.Clone(a.Email),
	}
}

func command(c config.Command) Command {
	return Command{Argv: slices.Clone(c.Argv), User: User(c.User)}
}

func notify(n config.Notify) Notify {
	return Notify{
		Master: command(n.Master), Backup: command(n.Backup), Fault: command(n.Fault), Stop: command(n.Stop),
		Deleted: command(n.Deleted), Any: command(n.Any), MasterRxLowerPri: command(n.MasterRxLowerPri),
	}
}

// splitBrain fills in the lease, for the slowest advert interval of the unit.
func splitBrain(s config.SplitBrain, advert time.Duration) SplitBrain {
	return SplitBrain{
		Policy:        string(s.Policy),
		Lease:         s.LeaseFor(advert),
		KernelLease:   s.KernelLease,
		AllowForeign:  slices.Clone(s.AllowForeign),
		FollowForeign: s.FollowForeign,
		Fencing:       fencing(s.Fencing),
	}
}

// fencing is nothing at all when nobody can be fenced.
func fencing(f config.Fencing) Fencing {
	if len(f.Agents) == 0 {
		return Fencing{}
	}
	out := Fencing{After: f.After, First: f.First, Delay: f.Delay, Timeout: f.Timeout}
	for _, a := range f.Agents {
		agent := FenceAgent{Node: a.Node, Program: a.Program, Action: string(a.Action)}
		for _, o := range a.Options {
			agent.Options = append(agent.Options, FenceOption{Name: o.Name, Value: o.Value, Secret: o.Secret()})
		}
		out.Agents = append(out.Agents, agent)
	}
	slices.SortFunc(out.Agents, func(a, b FenceAgent) int { return cmp.Compare(a.Node, b.Node) })
	return out
}

// scripts returns the health scripts that an instance or group tracks.
func scripts(cfg *config.Config) []Script {
	tracked := map[string]bool{}
	note := func(tracks []config.Track) {
		for _, t := range tracks {
			if t.Kind == config.TrackScript {
				tracked[t.Name] = true
			}
		}
	}
	for _, in := range cfg.Instances {
		note(in.Tracks)
	}
	for _, g := range cfg.Groups {
		note(g.Tracks)
	}
	var out []Script
	for _, s := range cfg.Scripts {
		if tracked[s.Name] {
			out = append(out, Script{
				Name:     s.Name,
				Command:  command(s.Command),
				Interval: s.Interval,
				Timeout:  s.Timeout,
				Rise:     s.Rise,
				Fall:     s.Fall,
				InitFail: s.InitFail,
			})
		}
	}
	slices.SortFunc(out, func(a, b Script) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
