package splitbrain

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

// segment is one Ethernet with cores on it, and whatever else answers there.
// Records arrive within a millisecond, answers as quickly.
type segment struct {
	t     *testing.T
	now   time.Time
	nodes []*segmentNode

	// answers says who answers a probe of a node; the default is owners.
	answers func(from string, p Probe) []MAC
	owners  map[netip.Addr][]MAC
	// cut says that records do not pass.
	cut func(from, to string) bool
}

type segmentNode struct {
	name     string
	mac      MAC
	core     *Core
	unit     UnitView
	probes   []Probe
	verdicts []Verdict
	verified []Verified
	alerts   map[AlertKind]Alert
}

var (
	gateway = addr("192.0.2.254")
	vip1    = addr("192.0.2.100")
)

func newSegment(t *testing.T, names ...string) *segment {
	s := &segment{t: t, now: t0, owners: make(map[netip.Addr][]MAC), cut: func(string, string) bool { return false }}
	s.owners[gateway] = []MAC{{2, 0, 0, 0, 0, 254}}
	s.answers = func(_ string, p Probe) []MAC { return s.owners[p.Addr] }
	var members []Member
	for _, name := range names {
		members = append(members, Member{Name: name})
	}
	for i, name := range names {
		ip := netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})
		n := &segmentNode{name: name, mac: MAC{2, 0, 0, 0, 0, byte(i + 1)}, alerts: make(map[AlertKind]Alert)}
		n.core = NewCore(name, BootID(i+1), 9, 0, t0)
		n.core.SetMembers(members)
		n.core.SetMACs([]MAC{n.mac})
		n.unit = UnitView{
			Name: "VI_1", State: Backup, Since: t0, Eligible: true, Priority: uint8(200 - i), Primary: ip,
			VIPs: []netip.Addr{vip1}, AdvertInterval: time.Second, DownTimerAdverts: 3,
			Networks: []Network{{
				Interface: "eth0", Source: ip, Subnets: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
				VIPs: []netip.Addr{vip1}, Gateways: []netip.Addr{gateway},
			}},
		}
		s.owners[ip] = []MAC{n.mac}
		s.nodes = append(s.nodes, n)
		n.core.SetUnits([]UnitView{n.unit})
	}
	return s
}

func (s *segment) node(name string) *segmentNode {
	i := slices.IndexFunc(s.nodes, func(n *segmentNode) bool { return n.name == name })
	return s.nodes[i]
}

// becomes changes the state of a node's unit, and who answers for its address.
func (s *segment) becomes(name string, state State) {
	n := s.node(name)
	n.unit.State, n.unit.Since = state, s.now
	if state == Master {
		n.unit.Tenure = Tenure{Seq: n.unit.Tenure.Seq + 1, Priority: n.unit.Priority, Primary: n.unit.Primary}
		n.unit.Released = false
		s.owners[vip1] = append(s.owners[vip1], n.mac)
	} else {
		n.unit.Released = n.unit.Tenure.Seq > 0
		s.owners[vip1] = slices.DeleteFunc(s.owners[vip1], func(m MAC) bool { return m == n.mac })
	}
	n.core.SetUnits([]UnitView{n.unit})
}

// run lets time pass, by the millisecond.
func (s *segment) run(d time.Duration) {
	s.t.Helper()
	for end := s.now.Add(d); s.now.Before(end); s.now = s.now.Add(ms) {
		for _, n := range s.nodes {
			if n.core.Deadline().After(s.now) && !n.core.anyDirty() {
				continue
			}
			s.step(n)
		}
	}
}

func (c *Core) anyDirty() bool {
	return slices.ContainsFunc(c.order, func(u *ownUnit) bool { return u.dirty })
}

func (s *segment) step(n *segmentNode) {
	out := n.core.Step(s.now, kclock.Instant(s.now.Sub(t0)+time.Hour))
	n.probes = append(n.probes, out.Probes...)
	n.verified = append(n.verified, out.Verified...)
	for _, v := range out.Verdicts {
		n.verdicts = append(n.verdicts, v.Verdict)
	}
	for _, a := range out.Alerts {
		if n.alerts[a.Kind] = a; a.Resolved {
			delete(n.alerts, a.Kind)
		}
	}
	for _, p := range out.Probes {
		if p.Addr == vip1 && n.unit.State == Master {
			s.t.Errorf("%s probes an address that it holds", n.name)
		}
		for _, mac := range s.answers(n.name, p) {
			n.core.Sighted(Sighting{Interface: p.Interface, Addr: p.Addr, MAC: mac, At: s.now.Add(ms / 2)})
		}
	}
	if out.Record == nil {
		return
	}
	for _, to := range s.nodes {
		if to != n && !s.cut(n.name, to.name) {
			to.core.Receive(s.now.Add(ms/2), &Datagram{Record: *out.Record}, "eth0")
		}
	}
}

func (n *segmentNode) count(a netip.Addr) int {
	count := 0
	for _, p := range n.probes {
		if p.Addr == a {
			count++
		}
	}
	return count
}

func TestEveryMemberButTheHolderLooksWhoAnswers(t *testing.T) {
	s := newSegment(t, "n1", "n2", "n3")
	s.becomes("n1", Master)
	s.run(time.Minute)
	for _, n := range s.nodes {
		want := 12 // once in five seconds
		if n.name == "n1" {
			want = 0
		}
		if got := n.count(vip1); got < want || got > want+4 {
			t.Errorf("%s probed the address %d times in a minute, want about %d", n.name, got, want)
		}
		if got := n.count(gateway); got < 59 || got > 70 {
			t.Errorf("%s probed the gateway %d times in a minute, want about 60", n.name, got)
		}
		u := n.core.units["VI_1"]
		if n.name != "n1" && (u.sight != SightOne || u.sightOf != 1) {
			t.Errorf("%s sees %v of life %d, want that n1 answers", n.name, u.sight, u.sightOf)
		}
		if u.path != PathAlive || len(n.alerts) > 0 {
			t.Errorf("%s: path %v, alerts %v; want it alive and none", n.name, u.path, n.alerts)
		}
	}
}

func TestProbesOf255UnitsAreSpread(t *testing.T) {
	s := newSegment(t, "n1", "n2")
	n := s.node("n1")
	var units []UnitView
	for i := range 255 {
		u := n.unit
		u.Name, u.VIPs = netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}).String(), []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})}
		u.Networks = []Network{u.Networks[0]}
		u.Networks[0].VIPs = u.VIPs
		units = append(units, u)
	}
	n.core.SetUnits(units)
	s.owners = map[netip.Addr][]MAC{gateway: {{1}}}
	most, before, steps := 0, 0, 0
	for range 300 {
		s.run(100 * ms)
		if steps++; steps > 10 {
			most = max(most, len(n.probes)-before)
		}
		before = len(n.probes)
	}
	if got := len(n.probes); got < 255*6 || got > 255*6*12/10 || most > 12 {
		t.Errorf("%d probes in 30 s, %d in the busiest tenth of a second; want about %d, and no more than 12", got, most, 255*6)
	}
}

// R10, F21: a machine that is no member.
func TestStrangerThatAnswersIsADuplicate(t *testing.T) {
	s := newSegment(t, "n1", "n2")
	s.becomes("n1", Master)
	s.run(12 * time.Second)
	s.owners[vip1] = append(s.owners[vip1], MAC{6, 6, 6, 6, 6, 6})
	s.run(6 * time.Second)
	if a, ok := s.node("n2").alerts[DuplicateAddress]; !ok || a.Peer != "06:06:06:06:06:06" {
		t.Errorf("alerts of n2: %v, want %s of 06:06:06:06:06:06", s.node("n2").alerts, DuplicateAddress)
	}
	if s.node("n2").core.units["VI_1"].sight != SightStranger {
		t.Errorf("n2 sees %v, want a stranger", s.node("n2").core.units["VI_1"].sight)
	}
	// The holder hears the stranger announce.
	for range 2 {
		s.node("n1").core.Sighted(Sighting{Interface: "eth0", Addr: vip1, MAC: MAC{6, 6, 6, 6, 6, 6}, At: s.now})
		s.run(time.Second)
	}
	if _, ok := s.node("n1").alerts[DuplicateAddress]; !ok {
		t.Errorf("alerts of n1: %v, want %s", s.node("n1").alerts, DuplicateAddress)
	}
	s.owners[vip1] = s.owners[vip1][:1]
	s.run(20 * time.Second)
	for _, n := range s.nodes {
		if len(n.alerts) > 0 {
			t.Errorf("20 s after it has gone %s has alerts %v, want none", n.name, n.alerts)
		}
	}
}

// A node that starts while the mesh is down: it asks who answers for the address,
// and that is a member by what it told an earlier life.
func TestMemberOfAnEarlierLifeThatAnswersIsNoDuplicate(t *testing.T) {
	for _, known := range []bool{true, false} {
		s := newSegment(t, "n1", "n2")
		n := s.node("n2")
		if known {
			n.core.SetMembers([]Member{{Name: "n1", Before: Identity{MACs: []MAC{s.node("n1").mac}}}})
		}
		s.cut = func(string, string) bool { return true }
		s.becomes("n1", Master)
		s.run(30 * time.Second)
		a, raised := n.alerts[DuplicateAddress]
		if raised == known {
			t.Errorf("n1 known from before: %v, duplicate_address: %v; want the opposite", known, raised)
		}
		if raised && !strings.Contains(a.Summary, "unless it is n1, of which nothing was heard since n2 started") {
			t.Errorf("summary %q does not say that it may be n1", a.Summary)
		}
	}
}

// Of a member that cannot be heard nobody knows what it holds.
func TestSilentMemberThatAnswersBesideTheHolderMayHoldTheUnitToo(t *testing.T) {
	s := newSegment(t, "n1", "n2")
	s.becomes("n1", Master)
	s.run(12 * time.Second)
	s.cut = func(string, string) bool { return true }
	s.run(10 * time.Second)
	for range 3 {
		s.node("n1").core.Sighted(Sighting{Interface: "eth0", Addr: vip1, MAC: s.node("n2").mac, At: s.now})
		s.run(time.Second)
	}
	a, ok := s.node("n1").alerts[StaleHolder]
	if want := "VI_1: n2 answers for 192.0.2.100, which n1 holds, and nothing is heard of n2: it may hold it too"; !ok || a.Summary != want {
		t.Errorf("alert %v %q, want %q", ok, a.Summary, want)
	}
}

// The holder is deaf on the mesh. A rival that it cannot hear takes over and gives up
// again: all that reaches the holder is that the rival announced itself (G4).
func TestHolderThatHearsARivalOnlyAnnounceItselfAnnouncesAgain(t *testing.T) {
	s := newSegment(t, "n1", "n2")
	s.becomes("n2", Master)
	s.run(12 * time.Second)
	n := s.node("n1")
	announced := func() int {
		count := 0
		for _, v := range n.verdicts {
			if _, ok := v.(Reannounce); ok {
				count++
			}
		}
		n.verdicts = nil
		return count
	}
	s.becomes("n2", Backup)
	s.run(20 * time.Second) // nobody answers for the address
	s.becomes("n1", Master)
	s.cut = func(_, to string) bool { return to == "n1" }
	s.run(12 * time.Second)
	if got := announced(); got != 0 {
		t.Fatalf("announced %d times with nobody else there, want 0", got)
	}
	rival := func() {
		n.core.Sighted(Sighting{Interface: "eth0", Addr: vip1, MAC: s.node("n2").mac, At: s.now})
	}
	rival()
	s.run(defendAfter - ms)
	if got := announced(); got != 0 {
		t.Errorf("announced %d times while the rival may still announce itself, want 0", got)
	}
	s.run(100 * ms)
	if got := announced(); got != 1 {
		t.Errorf("announced %d times after the rival did, want 1", got)
	}
	s.run(20 * time.Second)
	if got := announced(); got != 0 {
		t.Errorf("announced %d times more, want 0", got)
	}
	for range 300 { // half a minute of a machine that will not stop
		rival()
		s.run(100 * ms)
	}
	s.run(12 * time.Second)
	if got := announced(); got < 4 || got > 5 {
		t.Errorf("announced %d times against one that does without end for 30 s, want 4 or 5", got)
	}
}

// A member that leaves lets go first. What it answered until then is no stranger's;
// what it answers afterwards is.
func TestMemberThatLeftIsAStrangerOnlyIfItGoesOnAnswering(t *testing.T) {
	s := newSegment(t, "n1", "n2", "n3")
	s.becomes("n1", Master)
	s.run(12 * time.Second)
	s.becomes("n1", Backup)
	s.becomes("n2", Master)
	for _, n := range s.nodes[1:] {
		n.core.SetMembers([]Member{{Name: "n2"}, {Name: "n3"}})
	}
	s.run(6 * time.Second)
	for _, n := range s.nodes[1:] {
		if a, ok := n.alerts[DuplicateAddress]; ok {
			t.Errorf("%s: %v, want no word of the member that has left", n.name, a)
		}
	}
	s.owners[vip1] = append(s.owners[vip1], s.node("n1").mac)
	s.run(6 * time.Second)
	if a, ok := s.node("n3").alerts[DuplicateAddress]; !ok || a.Peer != s.node("n1").mac.String() {
		t.Errorf("alerts of n3: %v, want %s of %v", s.node("n3").alerts, DuplicateAddress, s.node("n1").mac)
	}
}

// S65: two hardware addresses of one node are no duplicate.
func TestTwoMACsOfOneNodeAreFlux(t *testing.T) {
	s := newSegment(t, "n1", "n2")
	second := MAC{2, 0, 0, 0, 1, 1}
	s.node("n1").core.SetMACs([]MAC{s.node("n1").mac, second})
	s.becomes("n1", Master)
	s.owners[vip1] = append(s.owners[vip1], second)
	s.run(30 * time.Second)
	n := s.node("n2")
	if _, ok := n.alerts[ArpFlux]; !ok || len(n.alerts) != 1 || n.core.units["VI_1"].sight != SightOne {
		t.Errorf("n2 sees %v, alerts %v; want one member and %s only", n.core.units["VI_1"].sight, n.alerts, ArpFlux)
	}
}

// S73: in some clouds the network answers every request with one address.
func TestFabricThatAnswersForAllIsLeftOut(t *testing.T) {
	s := newSegment(t, "n1", "n2", "n3")
	s.answers = func(string, Probe) []MAC { return []MAC{{0x12, 0, 0, 0, 0, 1}} }
	s.node("n1").unit.Networks[0].Gateways = nil
	for _, n := range s.nodes {
		n.unit.Networks[0].Gateways = nil
		n.core.SetUnits([]UnitView{n.unit})
	}
	s.becomes("n1", Master)
	s.run(40 * time.Second)
	for _, n := range s.nodes[1:] {
		u := n.core.units["VI_1"]
		if len(n.alerts) > 0 || u.sight != SightNone || u.path != PathUnknown {
			t.Errorf("%s: alerts %v, sight %v, path %v; want no word of it", n.name, n.alerts, u.sight, u.path)
		}
	}
}

// G4, S75: after each change a member looks, and says so.
func TestChangeOfHolderIsVerifiedByAMember(t *testing.T) {
	s := newSegment(t, "n1", "n2", "n3")
	s.becomes("n1", Master)
	s.run(10 * time.Second)
	s.becomes("n1", Backup)
	s.becomes("n2", Master)
	s.run(2 * time.Second)
	for _, name := range []string{"n1", "n3"} {
		v := s.node(name).verified
		if len(v) == 0 || v[len(v)-1].Holder != "n2" || !v[len(v)-1].OK || v[len(v)-1].Took > 100*ms {
			t.Errorf("%s says %+v, want that n2 answers within 100 ms", name, v)
		}
	}
	// The old holder goes on answering.
	s.owners[vip1] = append(s.owners[vip1], s.node("n1").mac)
	s.run(time.Second)
	s.becomes("n2", Backup)
	s.becomes("n3", Master)
	s.run(verifyFor + 3*time.Second)
	n2 := s.node("n2")
	if v := n2.verified[len(n2.verified)-1]; v.OK || v.Seen != SightTwo {
		t.Errorf("n2 says %+v, want that two members answer", v)
	}
	if a, ok := n2.alerts[StaleHolder]; !ok || a.Peer != "n1" {
		t.Errorf("alerts of n2: %v, want %s of n1", n2.alerts, StaleHolder)
	}
}

// R9.3: a worker dies with its addresses, its machine lives.
func TestAddressesThatAreGoneAreTakenOverWithinTwoHeartbeatsAndABurst(t *testing.T) {
	s := newSegment(t, "n1", "n2", "n3")
	s.becomes("n1", Master)
	s.run(40 * time.Second) // long enough to know that this network loses nothing
	died := s.now
	s.owners[vip1] = nil
	s.cut = func(from, _ string) bool { return from == "n1" }
	took := func(name string) time.Duration {
		for s.now.Sub(died) < 5*time.Second {
			s.run(ms)
			for _, v := range s.node(name).verdicts {
				if _, ok := v.(TakeOver); ok {
					return s.now.Sub(died)
				}
			}
		}
		return -1
	}
	if got := took("n2"); got < 200*ms || got > 400*ms+2*burstGap+answerTime+20*ms {
		t.Errorf("n2 takes over %v after the death, want two heartbeats and three probes", got)
	}
	if got := s.node("n2").count(addr("192.0.2.1")); got > 6 {
		t.Errorf("n2 probed the holder's own address %d times, want one burst", got)
	}
}

// S60: what swallows records swallows probes.
func TestCutThatSwallowsRecordsAndProbesProvesNothing(t *testing.T) {
	s := newSegment(t, "n1", "n2")
	s.becomes("n1", Master)
	s.run(40 * time.Second)
	s.cut = func(string, string) bool { return true }
	s.answers = func(from string, p Probe) []MAC {
		if from == "n2" && (p.Addr == vip1 || p.Addr == addr("192.0.2.1")) {
			return nil
		}
		return s.owners[p.Addr]
	}
	n := s.node("n2")
	n.verdicts = nil
	s.run(2 * time.Second)
	for _, v := range n.verdicts {
		if _, ok := v.(TakeOver); ok {
			t.Fatalf("n2 was told %+v, want to stay BACKUP", v)
		}
	}
}

// A machine that loses power takes its records and its answers with it. Who knows
// no other is not to blame itself while the last record counts.
func TestPowerLossOfTheOnlyOtherMemberIsNoLossOfTheOwnPath(t *testing.T) {
	for _, lag := range []time.Duration{0, 50 * ms, 150 * ms} { // of the records behind the answers
		s := newSegment(t, "n1", "n2")
		delete(s.owners, gateway)
		s.becomes("n1", Master)
		s.run(40 * time.Second)
		n := s.node("n2")
		path := &n.core.order[0].path
		if *path != PathAlive {
			t.Fatalf("the path of n2 is %v, want %v", *path, PathAlive)
		}
		s.answers = func(string, Probe) []MAC { return nil }
		s.run(lag)
		s.cut = func(string, string) bool { return true }
		for range 100 {
			s.run(50 * ms)
			if path.lastRank() {
				t.Fatalf("%v behind: %v after the power loss of n1 the path of n2 is %v", lag, s.now.Sub(t0)-40*time.Second, *path)
			}
		}
	}
}

// F13, F14: the gateway is lost for the holder only, then for all.
func TestLossOfTheGatewayMovesTheUnitOnlyToWhoHasIt(t *testing.T) {
	s := newSegment(t, "n1", "n2")
	s.becomes("n1", Master)
	s.run(40 * time.Second)
	all := false
	s.answers = func(from string, p Probe) []MAC {
		if p.Addr == gateway && (all || from == "n1") {
			return nil
		}
		return s.owners[p.Addr]
	}
	n := s.node("n1")
	yields := func() []Yield { return verdictsOf(Decision{Verdicts: n.verdicts}) }
	all = true
	s.run(30 * time.Second)
	if y := yields(); len(y) > 0 {
		t.Fatalf("the gateway is dead for all: %v, want to keep the unit", y)
	}
	if _, ok := n.alerts[DataPathLost]; !ok {
		t.Errorf("alerts %v, want %s", n.alerts, DataPathLost)
	}
	all = false
	lost := s.now
	for len(yields()) == 0 && s.now.Sub(lost) < 20*time.Second {
		s.run(ms)
	}
	// n2 was without it, too, so it is out of rank for a while.
	if y := yields(); len(y) != 1 || y[0].Successor != "n2" || s.now.Sub(lost) < firstSuspension {
		t.Errorf("n2 has the gateway back: %v after %v, want a hand-over after %v", y, s.now.Sub(lost), firstSuspension)
	}
}

// R5, F4 under mesh: cut off from everybody, a holder lets go before the others
// may take over.
func TestIsolatedHolderLetsGoBeforeTheOthersTakeOver(t *testing.T) {
	s := newSegment(t, "n1", "n2", "n3")
	s.becomes("n1", Master)
	s.run(40 * time.Second)
	at := s.now
	s.cut = func(from, to string) bool { return from == "n1" || to == "n1" }
	s.answers = func(from string, p Probe) []MAC {
		if from == "n1" {
			return nil
		}
		return slices.DeleteFunc(slices.Clone(s.owners[p.Addr]), func(m MAC) bool { return m == s.node("n1").mac })
	}
	n := s.node("n1")
	for len(verdictsOf(Decision{Verdicts: n.verdicts})) == 0 && s.now.Sub(at) < 10*time.Second {
		s.run(ms)
	}
	if got := s.now.Sub(at); got > 2*time.Second+600*ms {
		t.Errorf("it lets go %v after the cut, want at most 2.6 s: nobody takes over before 3 s", got)
	}
	s.becomes("n1", Backup)
	n.verdicts = nil
	s.run(10 * time.Second)
	last := cmp.Or(n.core.units["VI_1"].memory.hold.Until, s.now)
	if !last.After(s.now) {
		t.Errorf("its last hold ended %v ago, want it to wait until something answers", s.now.Sub(last))
	}
}

// R5 does not delay an ordinary fail-over: the gateway answers at once.
func TestBackupOfADeadHolderIsNotHeldWhileTheGatewayAnswers(t *testing.T) {
	s := newSegment(t, "n1", "n2")
	s.becomes("n1", Master)
	s.run(40 * time.Second)
	s.owners[vip1], s.owners[addr("192.0.2.1")] = nil, nil
	s.cut = func(from, _ string) bool { return from == "n1" }
	s.run(2500 * ms)
	if hold := s.node("n2").core.units["VI_1"].memory.hold; hold.Until.After(s.now) {
		t.Errorf("held until %v from now (%s), want no hold when its timer ends", hold.Until.Sub(s.now), hold.Reason)
	}
}

func TestLossMakesAProofLonger(t *testing.T) {
	n := network{lost: 0.05}
	for range 100 {
		n.counted(0)
	}
	if got := n.proof(); got != 3 {
		t.Errorf("without loss %d probes prove silence, want 3", got)
	}
	for i := range 300 {
		lost := 0
		if i%2 == 0 {
			lost = 1 // a third of the probes
		}
		n.counted(lost)
	}
	if got := n.proof(); got < 9 {
		t.Errorf("with a third of the probes lost %d prove silence, want at least 9", got)
	}
	n = network{lost: 0}
	n.counted(1000)
	if got := n.proof(); got != 3 {
		t.Errorf("after a machine was away %d probes prove silence, want 3", got)
	}
}

func TestWhatWasNotAskedIsNotSilent(t *testing.T) {
	var tg target
	for range 5 {
		tg.ask(now)
		tg.unask()
	}
	if e := tg.at(now.Add(time.Hour)); e.Silent != 0 {
		t.Errorf("five probes that were not sent make %+v, want no silence", e)
	}
}

// An answer never proves more than it does: it counts for the oldest probe
// that it may answer.
func TestAnswerCountsForTheOldestProbe(t *testing.T) {
	var tg target
	tg.ask(now)
	tg.ask(now.Add(300 * ms))
	if e := tg.at(now.Add(300*ms + answerTime)); e.Silent != 2 || !e.SilentSince.Equal(now) {
		t.Errorf("two unanswered probes make %+v", e)
	}
	tg.answer(Sighting{At: now.Add(301 * ms)})
	if e := tg.at(now.Add(time.Second)); e.Silent != 0 || !e.Began.Equal(now) {
		t.Errorf("one answer makes %+v, want no silence, begun with the first probe", e)
	}
	if _, ok := tg.answer(Sighting{At: now.Add(302 * ms)}); ok {
		t.Error("a second answer answers a probe, want none left")
	}
	tg.ask(now.Add(2 * time.Second))
	if _, ok := tg.answer(Sighting{At: now.Add(4 * time.Second)}); ok {
		t.Error("an answer after two seconds answers a probe, want it too late")
	}
	for i := range 40 {
		tg.ask(now.Add(time.Duration(5+i) * time.Second))
	}
	if e := tg.at(now.Add(time.Hour)); e.Silent != 41 || !e.SilentSince.Equal(now.Add(2*time.Second)) {
		t.Errorf("41 unanswered probes make %+v", e)
	}
}

// F13, for the path: lost, back for ten seconds, in rank.
func TestPathIsBackInRankAfterTenSecondsOfAnswers(t *testing.T) {
	s := newSegment(t, "n1", "n2")
	s.becomes("n2", Master)
	s.run(8 * time.Second)
	cut := false
	s.answers = func(from string, p Probe) []MAC {
		if p.Addr == gateway && cut && from == "n1" {
			return nil
		}
		return s.owners[p.Addr]
	}
	u := s.node("n1").core.units["VI_1"]
	until := func(want PathState, limit time.Duration) time.Duration {
		t.Helper()
		began := s.now
		for u.path != want {
			if s.run(ms); s.now.Sub(began) > limit {
				t.Fatalf("path is %v after %v, want %v", u.path, limit, want)
			}
		}
		return s.now.Sub(began)
	}
	cut = true
	until(PathLost, 5*time.Second)
	s.run(3 * time.Second)
	cut = false
	until(PathSuspended, 2*time.Second)
	if got := until(PathAlive, 15*time.Second); got < firstSuspension-ms || got > firstSuspension+time.Second {
		t.Errorf("back in rank after %v, want %v", got, firstSuspension)
	}
}
