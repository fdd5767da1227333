package vrrp

import (
	"net/netip"
	"time"
)

// machine is one virtual router of RFC 9568 section 6.4 inside a unit. It
// keeps the variables and timers of the RFC and says what it wants; the unit
// has the state, because the members of a sync group change it together.
type machine struct {
	spec InstanceSpec

	source      netip.Addr // zero: none
	sourceKnown bool       // SourceChanged was heard, or the source is configured
	watches     []watch
	claimFault  string    // why addresses could not be added; empty: no fault
	claimRetry  time.Time // when claimFault ends

	priority Priority // effective

	// In BACKUP.
	masterAdverInterval time.Duration
	masterDownTimer     time.Time
	goodbye             AdvertSeen // the priority 0 that shortened the timer; zero: none
	preemptAt           time.Time  // end of preempt_delay; zero: not running
	lower               AdvertSeen // last advert that preemption lets time out

	// In MASTER.
	adverTimer time.Time
	lead       time.Duration // by how much the second advert comes early
	answered   time.Time     // when a lower priority was last answered
	announce   announceTimers

	last AdvertSeen
}

func newMachine(spec InstanceSpec) *machine {
	m := &machine{spec: spec, masterAdverInterval: spec.AdvertInterval}
	if spec.Wire.Source.IsValid() && !spec.TrackSource {
		m.source, m.sourceKnown = spec.Wire.Source, true
	}
	m.setWatches()
	m.priority = m.effectivePriority()
	return m
}

// skewTime is Skew_Time (RFC 3768 section 6.1, RFC 9568 section 6.1).
func (m *machine) skewTime() time.Duration {
	unit := m.masterAdverInterval
	if m.spec.Version == 2 {
		unit = time.Second
	}
	return time.Duration(256-int64(m.priority)) * unit / 256
}

// masterDownInterval is Master_Down_Interval.
func (m *machine) masterDownInterval() time.Duration {
	return time.Duration(m.spec.DownTimerAdverts)*m.masterAdverInterval + m.skewTime()
}

// enterBackup starts Master_Down_Timer. The interval is the new master's where
// it is known (RFC 9568 section 6.4.3), else our own.
func (m *machine) enterBackup(now time.Time, adverInterval time.Duration) {
	m.masterAdverInterval = adverInterval
	m.masterDownTimer = now.Add(m.masterDownInterval())
	m.goodbye, m.lower = AdvertSeen{}, AdvertSeen{}
	m.preemptAt = time.Time{}
}

// leaveMaster stops what enterMaster started.
func (m *machine) leaveMaster() {
	m.adverTimer = time.Time{}
	m.announce.stop()
}

// enterMaster starts Adver_Timer and the announcements.
func (m *machine) enterMaster(now time.Time) {
	m.adverTimer = now.Add(m.spec.AdvertInterval - m.lead)
	m.masterDownTimer = time.Time{}
	m.answered = time.Time{}
	m.announce.start(now, m.spec.Announce)
}

// adverDue says whether an advert is due, and sets Adver_Timer to the next one.
func (m *machine) adverDue(now time.Time) bool {
	if now.Before(m.adverTimer) {
		return false
	}
	// Counted from when it was due, so that small delays do not add up. After
	// a long one there is one advert, not a burst of those that were missed.
	m.adverTimer = m.adverTimer.Add(m.spec.AdvertInterval)
	if !m.adverTimer.After(now) {
		m.adverTimer = now.Add(m.spec.AdvertInterval)
	}
	return true
}

// preempts says whether a master of lower priority may be replaced.
func (m *machine) preempts() bool {
	// RFC 9568 section 6.1: the owner of the addresses preempts in any case.
	return m.spec.Preempt || m.spec.Priority == Owner
}

// ignores says whether an advert is none of the machine's business in any state.
func (m *machine) ignores(ev Advert) bool {
	// Our own address: a looped packet, or a duplicate address, which no
	// election can settle.
	return ev.From == m.source || (m.spec.OwnerIgnoreAdverts && m.spec.Priority == Owner)
}

// hearInBackup is RFC 9568 section 6.4.2. It reports whether the advert keeps
// this router in BACKUP. An unmet member is one that may still say that it holds.
func (m *machine) hearInBackup(now time.Time, ev Advert, mayPreempt time.Time, unmet bool) bool {
	// "If the Priority in the ADVERTISEMENT is zero": the master leaves. The
	// timer is never prolonged by it.
	if ev.Priority == 0 {
		if due := now.Add(m.skewTime()); due.Before(m.masterDownTimer) {
			m.masterDownTimer = due
		}
		m.goodbye = m.last
		return false
	}

	if ev.Priority >= m.priority {
		m.preemptAt = time.Time{}
	} else {
		if m.spec.PreemptDelay > 0 && m.preemptAt.IsZero() {
			m.preemptAt = now.Add(m.spec.PreemptDelay)
		}
		if m.preempts() && !now.Before(m.preemptAt) && !now.Before(mayPreempt) {
			// "Discard the ADVERTISEMENT": Master_Down_Timer runs out. A timer that
			// ended while nobody was heard knows nothing of this master, whose
			// records are on their way: a hand-over comes before preemption (R4).
			if due := now.Add(m.masterDownInterval()); unmet && now.Sub(m.lower.At) >= m.masterDownInterval() && due.After(m.masterDownTimer) {
				m.masterDownTimer = due
			}
			m.lower, m.goodbye = m.last, AdvertSeen{}
			return false
		}
	}

	// "Set Active_Adver_Interval to the Max Advertise Interval contained in
	// the ADVERTISEMENT"; in version 2 it equals our own.
	if m.spec.Version == 3 {
		m.masterAdverInterval = ev.Interval
	}
	m.masterDownTimer = now.Add(m.masterDownInterval())
	m.goodbye, m.lower = AdvertSeen{}, AdvertSeen{}
	return true
}

// outranked says whether the sender comes before this router when both are
// master (RFC 9568 section 6.4.3): by priority, then by address.
func (m *machine) outranked(ev Advert) bool {
	return ev.Priority > m.priority ||
		ev.Priority == m.priority && ev.From.Compare(m.source) > 0
}

// answer says whether an advert of a lower priority is to be answered now.
// One answer reaches everybody, so a flood of adverts gets four for each
// interval, not one for each packet.
func (m *machine) answer(now time.Time) bool {
	if !m.answered.IsZero() && now.Sub(m.answered) < m.spec.AdvertInterval/4 {
		return false
	}
	m.answered = now
	return true
}

// reprioritize sets the effective priority. Master_Down_Timer moves by the
// difference of the skews.
func (m *machine) reprioritize() {
	before := m.skewTime()
	m.priority = m.effectivePriority()
	m.shiftDownTimer(m.skewTime() - before)
}

func (m *machine) shiftDownTimer(by time.Duration) {
	if !m.masterDownTimer.IsZero() {
		m.masterDownTimer = m.masterDownTimer.Add(by)
	}
}

// respec takes a new specification. Running timers keep what has passed.
func (m *machine) respec(now time.Time, spec InstanceSpec, master bool) {
	down := m.masterDownInterval()
	before := m.spec
	ownInterval := m.masterAdverInterval == before.AdvertInterval

	m.spec = spec
	if spec.Wire.Source != before.Wire.Source && spec.Wire.Source.IsValid() && !spec.TrackSource {
		m.source, m.sourceKnown = spec.Wire.Source, true
	}
	m.setWatches()
	m.priority = m.effectivePriority()
	if spec.Version == 2 || ownInterval {
		m.masterAdverInterval = spec.AdvertInterval
	}
	m.shiftDownTimer(m.masterDownInterval() - down)
	if master {
		m.adverTimer = m.adverTimer.Add(spec.AdvertInterval - before.AdvertInterval)
	}
	m.announce.respec(now, before.Announce, spec.Announce, master)
}
