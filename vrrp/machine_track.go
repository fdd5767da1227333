package vrrp

import (
	"slices"
	"strings"
	"time"
)

// InterfaceKey is the key of TrackResult for the state of a link.
func InterfaceKey(name string) string { return "interface:" + name }

// Watches lists what the instance needs results for: its Tracks and, with
// weight 0, the interfaces that it cannot serve without: its own (unless
// DontTrackPrimary) and those of its addresses and routes. An interface that
// Tracks names has the weight given there.
func (s InstanceSpec) Watches() []Track {
	watches := slices.Clone(s.Tracks)
	need := func(iface string) {
		if iface == "" || iface == s.Interface && s.DontTrackPrimary {
			return
		}
		key := InterfaceKey(iface)
		if !slices.ContainsFunc(watches, func(t Track) bool { return t.Key == key }) {
			watches = append(watches, Track{Key: key})
		}
	}
	need(s.Interface)
	for _, list := range [][]Address{s.Addresses, s.Excluded} {
		for _, a := range list {
			need(a.Interface)
		}
	}
	for _, r := range s.Routes {
		need(r.Interface)
	}
	return watches
}

// watch is one Track with its last result.
type watch struct {
	Track
	known  bool
	up     bool // as reported; Reverse is not applied
	reason string
}

// good is the result as the weight sees it.
func (w *watch) good() bool { return w.up != w.Reverse }

// setWatches takes the list of the specification and keeps the results.
func (m *machine) setWatches() {
	before := m.watches
	m.watches = nil
	for _, t := range m.spec.Watches() {
		w := watch{Track: t}
		for _, old := range before {
			if old.Key == t.Key {
				w.known, w.up, w.reason = old.known, old.up, old.reason
			}
		}
		m.watches = append(m.watches, w)
	}
}

// result stores a track result and reports whether the instance tracks it.
func (m *machine) result(ev TrackResult) bool {
	tracked := false
	for i := range m.watches {
		if w := &m.watches[i]; w.Key == ev.Key {
			w.known, w.up, w.reason = true, ev.Up, ev.Reason
			tracked = true
		}
	}
	return tracked
}

// effectivePriority is the base priority with the weights, within 1 to 254.
// The owner's 255 is never changed, and nothing else reaches it.
func (m *machine) effectivePriority() Priority {
	if m.spec.Priority == Owner {
		return Owner
	}
	sum := int(m.spec.Priority)
	for i := range m.watches {
		w := &m.watches[i]
		switch {
		case !w.known:
		case w.Weight > 0 && w.good(), w.Weight < 0 && !w.good():
			sum += w.Weight
		}
	}
	return Priority(min(max(sum, 1), 254))
}

// awaited names what must be known before the instance may leave INIT, or is
// empty. Later a result that is not there yet changes nothing.
func (m *machine) awaited() string {
	if !m.sourceKnown {
		return "waiting for the source address on " + m.spec.Interface
	}
	for i := range m.watches {
		if w := &m.watches[i]; w.Weight == 0 && !w.known {
			return "waiting for the first result of " + describeKey(w.Key)
		}
	}
	return ""
}

// faults lists what keeps the instance from serving, for people.
func (m *machine) faults() []string {
	var faults []string
	for i := range m.watches {
		w := &m.watches[i]
		if w.Weight != 0 || !w.known || w.good() {
			continue
		}
		reason := w.reason
		switch {
		case reason != "":
		case w.up:
			reason = "up, and reverse is set"
		default:
			reason = "down"
		}
		faults = append(faults, describeKey(w.Key)+": "+reason)
	}
	if m.sourceKnown && !m.source.IsValid() {
		faults = append(faults, "no source address on "+m.spec.Interface)
	}
	if m.claimFault != "" {
		faults = append(faults, m.claimFault)
	}
	return faults
}

// healthy is the same as no faults, without the words.
func (m *machine) healthy() bool {
	for i := range m.watches {
		if w := &m.watches[i]; w.Weight == 0 && w.known && !w.good() {
			return false
		}
	}
	return (!m.sourceKnown || m.source.IsValid()) && m.claimFault == ""
}

// expireClaimFault ends the fault of a failed claim when it is time to retry.
func (m *machine) expireClaimFault(now time.Time) {
	if m.claimFault != "" && !now.Before(m.claimRetry) {
		m.claimFault, m.claimRetry = "", time.Time{}
	}
}

// describeKey turns "script:chk_nginx" into "script chk_nginx".
func describeKey(key string) string { return strings.Replace(key, ":", " ", 1) }
