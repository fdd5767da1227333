package vrrp

import "time"

// announceTimers pace gratuitous ARP and unsolicited neighbour advertisements
// in MASTER. A zero time is a timer that does not run.
type announceTimers struct {
	second  time.Time // second burst after becoming MASTER
	refresh time.Time
	lower   time.Time // second burst after a lower-priority advert
}

func (a *announceTimers) start(now time.Time, spec Announce) {
	*a = announceTimers{}
	if spec.Delay > 0 && spec.Repeat > 0 {
		a.second = now.Add(spec.Delay)
	}
	a.startRefresh(now, spec)
}

func (a *announceTimers) startRefresh(now time.Time, spec Announce) {
	a.refresh = time.Time{}
	if spec.Refresh > 0 && spec.RefreshRepeat > 0 {
		a.refresh = now.Add(spec.Refresh)
	}
}

func (a *announceTimers) stop() { *a = announceTimers{} }

// afterLower starts the second burst that follows a lower-priority advert.
func (a *announceTimers) afterLower(now time.Time, spec Announce) {
	if spec.LowerPrioDelay > 0 && spec.LowerPrioRepeat > 0 {
		a.lower = now.Add(spec.LowerPrioDelay)
	}
}

// due is how many announcements are due now, at most one burst.
func (a *announceTimers) due(now time.Time, spec Announce) int {
	repeat := 0
	if passed(a.second, now) {
		a.second = time.Time{}
		repeat = max(repeat, spec.Repeat)
	}
	if passed(a.lower, now) {
		a.lower = time.Time{}
		repeat = max(repeat, spec.LowerPrioRepeat)
	}
	if passed(a.refresh, now) {
		a.startRefresh(now, spec)
		repeat = max(repeat, spec.RefreshRepeat)
	}
	return repeat
}

// next is the earliest timer, zero if none runs.
func (a *announceTimers) next() time.Time {
	return earliest(earliest(a.second, a.lower), a.refresh)
}

// respec starts or stops the refresh when its pace has changed. It is only
// called with a changed specification, so a running refresh may start anew.
func (a *announceTimers) respec(now time.Time, before, after Announce, master bool) {
	if master && (before.Refresh != after.Refresh || before.RefreshRepeat != after.RefreshRepeat) {
		a.startRefresh(now, after)
	}
}

// passed says whether timer runs and has ended.
func passed(timer, now time.Time) bool { return !timer.IsZero() && !now.Before(timer) }

// earliest is the earlier of two times; zero means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
