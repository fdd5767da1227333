package scenario

import (
	"fmt"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// Subject is what stands under a fault: haclusterd with one of its policies, or
// keepalived for comparison.
type Subject string

// Subjects.
const (
	Mesh       Subject = "mesh"
	Quorum     Subject = "quorum"
	Keepalived Subject = "keepalived"
)

// Scenario is one row: a fault, and what must be true while it lasts and after
// it.
type Scenario struct {
	ID    string // F1 to F30
	Title string // the fault, as a condition
	Core  bool   // make proof repeats it
	Long  bool   // takes minutes: make proof runs it once, alone, and the tests do not

	Shape  Shape
	Advert time.Duration // advert interval; zero: a second
	Words  string        // lines for the instance

	// Fault strikes. It may take its time; what it leaves is watched until
	// Lasts has passed since it began.
	Fault func(*World)
	Lasts time.Duration
	// Heal takes the fault back; nil: it is not healed. After is watched then.
	Heal  func(*World)
	After time.Duration
	// Check looks at what no other field says, at the end.
	Check func(*World)

	// Promise is what must be seen of each subject; those that are not in it
	// are not run. What keepalived does is measured and not judged: it needs an
	// entry, and its contents do not count.
	Promise map[Subject]Promise
}

// Shape is what a world consists of.
type Shape struct {
	Nodes   int         // members that can hold: 2 or 3; zero: 3
	Witness bool        // one more member that votes and cannot hold
	Gateway bool        // a gateway that the members probe
	Mesh    lab.Network // the network that the members' addresses are on; the other one is a path for heartbeats too
	SameNet bool        // mesh over the service network: one network carries all
}

// Unbounded says that a promise names no limit.
const Unbounded = time.Duration(-1)

// Promise is what must be seen of one subject.
type Promise struct {
	E    time.Duration // longest time with two holders while the fault lasts
	Dark time.Duration // longest time without one while the fault lasts

	// Takeover is the longest time from the last advert of the first holder to
	// the first one of the second; zero: any.
	Takeover time.Duration

	// E and darkness from the heal on. Zero stands for blink, since a return may be a
	// hand-over.
	HealE, HealDark time.Duration

	// Holder is the index of the member that alone answers at the end of the
	// fault, Returned of the one that does at the end; None: nobody may, Any: it
	// does not matter.
	Holder, Returned Index

	// Moves is how often the address may change its holder in all.
	Moves int

	// Alert is the code of an alert that each node of On raises within
	// AlertWithin of the strike, with all Words in it. No alert is named: none is wanted, and
	// none is forbidden.
	Alert       string
	Words       []string
	On          []int
	AlertWithin time.Duration
	AtHeal      bool // it counts from the heal on, not from the strike

	// Verdict is what haclusterctl status begins with at the end of the fault, and
	// Because what is in its reason, on the member Asked; zero is the second one,
	// who takes over.
	Verdict Verdict
	Because string
	Asked   Index
}

// Verdict is the judgement that haclusterctl status begins with.
type Verdict string

// Verdicts.
const (
	Safe     Verdict = "SAFE"
	AtRisk   Verdict = "AT RISK"
	Violated Verdict = "VIOLATED"
	Dark     Verdict = "DARK"
)

// Index is a member's place in the order of priorities, from 0.
type Index int

// Indices that name no member.
const (
	Any  Index = -1
	None Index = -2
)

// Both makes the same promise for both policies.
func Both(p Promise) map[Subject]Promise { return map[Subject]Promise{Mesh: p, Quorum: p} }

// Beside puts keepalived under the same fault.
func Beside(p map[Subject]Promise) map[Subject]Promise {
	p[Keepalived] = Promise{}
	return p
}

func (s Scenario) String() string { return fmt.Sprintf("%s %s", s.ID, s.Title) }

func (s Scenario) advert() time.Duration {
	if s.Advert == 0 {
		return time.Second
	}
	return s.Advert
}

// Tolerances. They are of times only: no promise of one holder has any.
const (
	// Slack is what a loaded machine may add to a time of the protocol.
	Slack = 250 * time.Millisecond

	// Heartbeat is the default interval of heartbeats.
	Heartbeat = 200 * time.Millisecond
)

// Priorities of the members, in their order.
var priorities = [...]int{150, 120, 100}

// MasterDown is Master_Down_Interval of a member (RFC 9568 section 6.1).
func (s Scenario) MasterDown(member Index) time.Duration {
	return masterDown(s.advert(), priorities[member])
}

func masterDown(advert time.Duration, priority int) time.Duration {
	return 3*advert + time.Duration(256-priority)*advert/256
}
