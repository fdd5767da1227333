package vrrp

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// goodbye says whether priority 0 is sent when a MASTER leaves.
type goodbye bool

const (
	silently    goodbye = false
	withGoodbye goodbye = true
)

// becomeMaster is the transition of RFC 9568 sections 6.4.1 and 6.4.2. The
// advert comes first: it silences others before the addresses are here.
func (u *Unit) becomeMaster(now time.Time, reason string) {
	for _, m := range u.machines {
		m.enterMaster(now)
		u.send(m, m.priority)
	}
	for _, m := range u.machines {
		u.actions = append(u.actions, Claim{m.spec.Name})
	}
	for _, m := range u.machines {
		u.announce(m, m.spec.Announce.Repeat)
	}
	first := u.machines[0]
	u.tenure = Tenure{Seq: u.tenure.Seq + 1, Priority: first.priority, Primary: first.source}
	u.transition(now, Master, reason)
}

// becomeBackup starts every member's Master_Down_Timer in full.
func (u *Unit) becomeBackup(now time.Time, reason string, bye goodbye) {
	u.leaveMaster(bye)
	for _, m := range u.machines {
		m.enterBackup(now, m.spec.AdvertInterval)
	}
	u.transition(now, Backup, reason)
}

func (u *Unit) becomeFault(now time.Time) {
	u.leaveMaster(withGoodbye)
	var faults []string
	for _, m := range u.machines {
		for _, fault := range m.faults() {
			faults = append(faults, u.about(m, fault))
		}
	}
	u.transition(now, Fault, strings.Join(faults, "; "))
}

// shutdown ends the unit. Startup may wake it again.
func (u *Unit) shutdown(now time.Time, reason string) {
	u.started = false
	for _, m := range u.machines {
		m.claimFault, m.claimRetry = "", time.Time{}
	}
	if u.state == Init {
		if u.heir.Held {
			u.disinherit(now)
		}
		return
	}
	u.leaveMaster(withGoodbye)
	u.transition(now, Init, reason)
}

// leaveMaster does nothing in another state. The addresses go before priority
// 0 does: at small intervals the successor is there within microseconds of it.
func (u *Unit) leaveMaster(bye goodbye) {
	if u.state != Master {
		return
	}
	for _, m := range u.machines {
		u.actions = append(u.actions, Release{m.spec.Name})
	}
	for _, m := range u.machines {
		if bye == withGoodbye {
			u.send(m, 0)
		}
		m.leaveMaster()
	}
}

func (u *Unit) transition(now time.Time, to State, reason string) {
	from := u.state
	u.state, u.since, u.reason = to, now, reason
	u.takeOverAt, u.takeOverReason = time.Time{}, ""
	for _, m := range u.machines {
		u.actions = append(u.actions, Notify{m.spec.Name, from, to, m.priority, reason})
	}
	if u.spec.Group {
		u.actions = append(u.actions, Notify{"", from, to, u.machines[0].priority, reason})
	}
}

func (u *Unit) send(m *machine, priority Priority) {
	u.actions = append(u.actions, SendAdvert{m.spec.Name, priority})
}

func (u *Unit) announce(m *machine, repeat int) {
	if repeat > 0 {
		u.actions = append(u.actions, AnnounceAddrs{m.spec.Name, repeat})
	}
}

// announceAgain is for neighbours that another master's announcements may have
// misled, on the networks of all members.
func (u *Unit) announceAgain(now time.Time) {
	for _, m := range u.machines {
		u.announce(m, m.spec.Announce.LowerPrioRepeat)
		m.announce.afterLower(now, m.spec.Announce)
	}
}

// respec replaces the specification. Which instances a unit has is part of
// what it is: for another set the shell makes another unit.
func (u *Unit) respec(now time.Time, spec UnitSpec) {
	next := make([]*machine, 0, len(spec.Instances))
	for _, in := range spec.Instances {
		m := u.machine(in.Name)
		if m == nil || len(spec.Instances) != len(u.machines) {
			panic(fmt.Sprintf("vrrp: unit %s: respec with other instances", u.spec.Name))
		}
		next = append(next, m)
	}
	if spec.asks() && !u.asks() {
		u.takeOverAt = time.Time{} // nobody has granted that one
	}
	u.spec, u.machines = spec, next
	for i, m := range u.machines {
		before := m.spec
		m.respec(now, spec.Instances[i], u.state == Master)
		if u.state == Master && !sameAddresses(before, m.spec) {
			u.actions = append(u.actions, Claim{m.spec.Name})
			u.announce(m, m.spec.Announce.Repeat)
		}
	}
}

func sameAddresses(a, b InstanceSpec) bool {
	return slices.Equal(a.Addresses, b.Addresses) &&
		slices.Equal(a.Excluded, b.Excluded) &&
		slices.Equal(a.Routes, b.Routes)
}

// silence says why all timers have ended, for people.
func (u *Unit) silence(now time.Time) string {
	m := u.lastToWait()
	var reason string
	switch {
	case !m.goodbye.At.IsZero():
		reason = fmt.Sprintf("%v said goodbye (priority 0) %s", m.goodbye.From, ago(now, m.goodbye.At))
	case !m.lower.At.IsZero():
		reason = fmt.Sprintf("preempting %v, whose priority %d is below ours, %d", m.lower.From, m.lower.Priority, m.priority)
	case m.last.At.IsZero():
		reason = "master down timer expired, no advert heard"
	default:
		reason = fmt.Sprintf("master down timer expired, last advert from %v %s", m.last.From, ago(now, m.last.At))
	}
	return u.about(m, reason)
}

func ago(now, at time.Time) string { return fmt.Sprintf("%.2f s ago", now.Sub(at).Seconds()) }

// about names the member that a reason is about, where there are several.
func (u *Unit) about(m *machine, reason string) string {
	if len(u.machines) == 1 {
		return reason
	}
	return m.spec.Name + ": " + reason
}
