package config

import (
	"reflect"
	"slices"
	"strings"
)

// Change is one difference between two configurations of a node.
type Change struct {
	What   string   // "vrrp_instance VI_1", "vrrp_sync_group G1", "vrrp_script s", "global_defs", "cluster", "static_ipaddress", "static_routes"
	Kind   string   // "added", "removed" or "changed"
	Fields []string // of a changed block: keywords
	// MayMove says that a virtual address can change its holder or be silent for
	// a moment when the nodes go from one to the other.
	MayMove bool
	// Risky says that nodes which run the old and the new one do not understand
	// each other, or that the block decides who is believed.
	Risky bool
}

func (c Change) String() string {
	s := c.What + " " + c.Kind
	if len(c.Fields) > 0 {
		s += ": " + strings.Join(c.Fields, " ")
	}
	if c.MayMove {
		s += " (a virtual address may move)"
	}
	return s
}

// Changes lists what differs between two configurations of one node, in the
// order of the new one, what was removed last.
func Changes(old, new *Config) []Change {
	var out []Change
	add := func(what string, a, b any) {
		if !reflect.DeepEqual(a, b) {
			out = append(out, Change{What: what, Kind: "changed"})
		}
	}
	add("global_defs", old.Global, new.Global)
	if !reflect.DeepEqual(old.Cluster, new.Cluster) {
		// Whom alerts are told decides nothing about who is believed.
		a, b := old.Cluster, new.Cluster
		a.Alerts, b.Alerts = Alerts{}, Alerts{}
		out = append(out, Change{What: "cluster", Kind: "changed", Risky: !reflect.DeepEqual(a, b)})
	}
	add("static_ipaddress", old.Addresses, new.Addresses)
	add("static_routes", old.Routes, new.Routes)
	out = append(out, blocks(old.Instances, new.Instances, "vrrp_instance ", func(i Instance) string { return i.Name }, instanceChange)...)
	out = append(out, blocks(old.Groups, new.Groups, "vrrp_sync_group ", func(g SyncGroup) string { return g.Name }, groupChange)...)
	out = append(out, blocks(old.Scripts, new.Scripts, "vrrp_script ", func(s Script) string { return s.Name }, scriptChange)...)
	return out
}

// blocks compares two lists of named blocks.
func blocks[T any](old, new []T, prefix string, name func(T) string, changed func(a, b T) Change) []Change {
	var out []Change
	index := func(list []T) map[string]int {
		at := make(map[string]int, len(list))
		for i := range list {
			at[name(list[i])] = i
		}
		return at
	}
	before, after := index(old), index(new)
	moves := prefix != "vrrp_script "
	for _, b := range new {
		i, ok := before[name(b)]
		switch {
		case !ok:
			out = append(out, Change{What: prefix + name(b), Kind: "added", MayMove: moves, Risky: moves})
		case !reflect.DeepEqual(old[i], b):
			c := changed(old[i], b)
			c.What, c.Kind = prefix+name(b), "changed"
			out = append(out, c)
		}
	}
	for _, a := range old {
		if _, ok := after[name(a)]; !ok {
			out = append(out, Change{What: prefix + name(a), Kind: "removed", MayMove: moves, Risky: moves})
		}
	}
	return out
}

// effect says what a field of the model is called and what its change means.
type effect struct {
	field, word    string
	mayMove, risky bool
}

// instanceEffects lists the fields of Instance; those that are not listed are
// changed in place and harm nothing.
func instanceEffects() []effect {
	return []effect{
		{"Interface", "interface", true, true},
		{"VRID", "virtual_router_id", true, true},
		{"Version", "version", true, true},
		{"IPv6", "", true, true},
		{"Priority", "priority", true, false},
		{"AdvertInterval", "advert_int", true, true},
		{"DownTimerAdverts", "down_timer_adverts", true, true},
		{"Addresses", "virtual_ipaddress", true, true},
		{"Excluded", "virtual_ipaddress_excluded", true, true},
		{"Routes", "virtual_routes", false, true},
		{"AuthType", "auth_type", true, true},
		{"AuthPass", "auth_pass", true, true},
		{"Preempt", "nopreempt", true, false},
		{"Source", "unicast_src_ip", true, true},
		{"MulticastGroup", "mcast_dst_ip", true, true},
		{"Unicast", "unicast_peer", true, true},
		{"Peers", "unicast_peer", true, true},
		{"CheckUnicastSource", "check_unicast_src", true, true},
		{"V3ChecksumAsV2", "v3_checksum_as_v2", true, true},
		{"OldUnicastChecksum", "old_unicast_checksum", true, true},
		{"Tracks", "track_interface or track_script", true, false},
		{"DontTrackPrimary", "dont_track_primary", true, false},
		{"TrackSource", "track_src_ip", true, false},
		{"OwnerIgnoreAdverts", "owner_ignore_adverts", true, false},
		{"SplitBrain", "split_brain", true, true},
	}
}

func instanceChange(a, b Instance) Change {
	var c Change
	effects := instanceEffects()
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range x.NumField() {
		name := x.Type().Field(i).Name
		if reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			continue
		}
		e := effect{word: fieldWord(name)}
		if k := slices.IndexFunc(effects, func(e effect) bool { return e.field == name }); k >= 0 {
			e = effects[k]
		}
		if name == "SplitBrain" {
			e.mayMove = moves(a.SplitBrain, b.SplitBrain)
		}
		if e.word != "" && !slices.Contains(c.Fields, e.word) {
			c.Fields = append(c.Fields, e.word)
		}
		c.MayMove, c.Risky = c.MayMove || e.mayMove, c.Risky || e.risky
	}
	return c
}

// fieldWord names the fields whose change harms nothing.
func fieldWord(field string) string {
	switch field {
	case "Announce":
		return "garp_*"
	case "Notify":
		return "notify_*"
	case "SMTPAlert":
		return "smtp_alert"
	case "StartMaster":
		return "state"
	case "PreemptDelay":
		return "preempt_delay"
	case "LowerPrioNoAdvert":
		return "lower_prio_no_advert"
	case "HigherPrioSendAdvert":
		return "higher_prio_send_advert"
	case "UnicastTTL":
		return "unicast_ttl"
	case "NoOldUnicastChecksum":
		return "old_unicast_checksum"
	case "SkipCheckAddresses":
		return "skip_check_adv_addr"
	}
	return field
}

// moves reports whether a virtual address can move when split_brain changes:
// fencing acts on a node that does not let go, and on no other.
func moves(a, b SplitBrain) bool {
	a.Fencing, b.Fencing = Fencing{}, Fencing{}
	return !a.equal(b)
}

func groupChange(a, b SyncGroup) Change {
	var c Change
	if !slices.Equal(a.Members, b.Members) {
		c.Fields, c.MayMove, c.Risky = append(c.Fields, "group"), true, true
	}
	if !slices.Equal(a.Tracks, b.Tracks) {
		c.Fields, c.MayMove = append(c.Fields, "track_interface or track_script"), true
	}
	if !a.SplitBrain.equal(b.SplitBrain) {
		c.Fields, c.MayMove, c.Risky = append(c.Fields, "split_brain"), c.MayMove || moves(a.SplitBrain, b.SplitBrain), true
	}
	if !reflect.DeepEqual(a.Notify, b.Notify) {
		c.Fields = append(c.Fields, "notify_*")
	}
	if a.SMTPAlert != b.SMTPAlert {
		c.Fields = append(c.Fields, "smtp_alert")
	}
	return c
}

// scriptChange: a script's verdict decides who holds.
func scriptChange(_, _ Script) Change {
	return Change{Fields: []string{"command or timing"}, MayMove: true}
}
