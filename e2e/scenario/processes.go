package scenario

import (
	"syscall"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// succession is a holder that fell silent without a word: the second serves
// within Master_Down_Interval and a heartbeat (G2).
func succession() Promise {
	return Promise{Dark: Scenario{}.MasterDown(1) + Heartbeat + Slack, Holder: 1, Returned: Any, Moves: 2, Verdict: AtRisk}
}

// powerLost is a holder that is off from one moment to the next: the second
// serves within 50 ms of Master_Down_Interval, counted from the last advert.
func powerLost(advert time.Duration) Promise {
	down := Scenario{Advert: advert}.MasterDown(1)
	return Promise{Dark: down + 50*time.Millisecond + Slack, Takeover: down + 50*time.Millisecond, Holder: 1, Moves: 1, Verdict: AtRisk}
}

// losePower takes a machine off both networks and ends its processes, which
// notice nothing of it.
func losePower(w *World) {
	w.Processes[0].SignalAll(syscall.SIGSTOP)
	w.Nodes[0].CutLink(lab.Service)
	w.Nodes[0].CutLink(lab.Control)
	w.Processes[0].KillAll()
}

// lease is the shortest one of policy quorum, which bounds its take-over where
// Master_Down_Interval is shorter.
const lease = 500*time.Millisecond + Heartbeat

// pause is how long a stopped process or machine stands still.
const pause = 20 * time.Second

// processes are faults of the daemon and of its machine: F8 to F11.
func processes() []Scenario {
	return []Scenario{{
		ID: "F8", Title: "worker killed", Core: true,
		Fault:   func(w *World) { w.Processes[0].SignalWorker(syscall.SIGKILL) },
		Lasts:   6 * time.Second, // the new worker does not preempt for three Master_Down_Intervals (R8)
		Promise: Beside(Both(Promise{Dark: 200*time.Millisecond + Slack, Holder: 1, Moves: 1, Verdict: Safe})),
	}, {
		ID: "F9", Title: "supervisor and worker killed together", Core: true,
		Fault:   func(w *World) { w.Processes[0].KillAll() },
		Lasts:   6 * time.Second,
		Promise: Beside(Both(succession())),
	}, {
		ID: "F9", Title: "supervisor and worker killed together, adverts each 100 ms",
		Advert:  100 * time.Millisecond,
		Fault:   func(w *World) { w.Processes[0].KillAll() },
		Lasts:   3 * time.Second,
		Promise: Beside(Both(Promise{Dark: lease + Slack, Holder: 1, Moves: 2, Verdict: AtRisk})), // the third may be first by milliseconds
	}, {
		ID: "F10", Title: "all processes stopped, adverts each 100 ms",
		Advert:  100 * time.Millisecond,
		Fault:   func(w *World) { w.Processes[0].SignalAll(syscall.SIGSTOP) },
		Lasts:   3 * time.Second,
		Heal:    func(w *World) { w.Processes[0].SignalAll(syscall.SIGCONT) },
		After:   3 * time.Second,
		Promise: Beside(Both(Promise{Dark: lease + Slack, Holder: 1, Returned: Any, Moves: 3, Verdict: AtRisk})), // as above, and the first again
	}, {
		ID: "F9", Title: "holder loses power", Core: true,
		Fault:   losePower,
		Lasts:   6 * time.Second,
		Promise: Beside(Both(powerLost(time.Second))),
	}, {
		ID: "F9", Title: "holder loses power, adverts each 250 ms", Core: true,
		Advert:  250 * time.Millisecond,
		Fault:   losePower,
		Lasts:   4 * time.Second,
		Promise: Beside(Both(powerLost(250 * time.Millisecond))),
	}, {
		ID: "F9", Title: "a voter has lost its worker, and the holder loses power, adverts each 250 ms",
		Advert: 250 * time.Millisecond,
		Fault: func(w *World) {
			w.Processes[2].SignalWorker(syscall.SIGKILL)
			w.Processes[2].WantLog("what the process before granted is known", 10*time.Second)
			losePower(w)
		},
		Lasts: 5 * time.Second,
		// Both that are left are needed. The new worker has a second to begin; one that
		// did not know what was granted would wait for the longest lease that may be, 2.5 s.
		Promise: map[Subject]Promise{Quorum: {Dark: Scenario{Advert: 250 * time.Millisecond}.MasterDown(1) + time.Second, Holder: 1, Moves: 1, Verdict: AtRisk}},
	}, {
		ID: "F10", Title: "all processes stopped for 20 s, then continued", Core: true,
		Fault:   func(w *World) { w.Processes[0].SignalAll(syscall.SIGSTOP) },
		Lasts:   pause,
		Heal:    func(w *World) { w.Processes[0].SignalAll(syscall.SIGCONT) },
		After:   5 * time.Second,
		Promise: Beside(Both(succession())),
	}, {
		ID: "F10", Title: "worker alone stopped",
		Fault: func(w *World) { w.Processes[0].SignalWorker(syscall.SIGSTOP) },
		Lasts: 4 * time.Second,
		// The supervisor waits for as long as the last advert held the gate open,
		// which was sent up to an interval before the worker stood still.
		Promise: Both(Promise{Dark: time.Second + 200*time.Millisecond + Slack, Holder: 1, Moves: 1, Verdict: Safe}),
	}, {
		ID: "F11", Title: "machine paused for 20 s, then resumed",
		Fault: func(w *World) {
			w.frozen = w.Processes[0].Freezer()
			w.frozen.Freeze()
		},
		Lasts:   pause,
		Heal:    func(w *World) { w.frozen.Thaw() },
		After:   5 * time.Second,
		Promise: Beside(Both(succession())),
	}}
}
