package sim

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
)

// steady returns three nodes of which n1 has held the VIP since long.
func steady(t *testing.T, change func(*config)) *world {
	t.Helper()
	c := config{nodes: 3, interval: time.Second, heartbeat: 200 * time.Millisecond, preempt: true}
	if change != nil {
		change(&c)
	}
	w := newWorld(c, 1)
	for i, n := range w.nodes {
		w.at(time.Duration(i)*10*time.Millisecond, n.boot1)
	}
	w.run(10 * time.Second)
	if w.holders() != "n1" {
		t.Fatalf("at 10s %q holds; want n1\n%s", w.holders(), w.trace.String())
	}
	w.check.moves, w.check.vacMax, w.check.twoMax = 0, 0, 0
	clear(w.check.alerts)
	return w
}

// holders names the nodes whose kernel has the VIP.
func (w *world) holders() string {
	s := ""
	for _, n := range w.nodes {
		if n.answers() {
			if s != "" {
				s += " "
			}
			s += n.name
		}
	}
	return s
}

// want checks the end of a scenario.
func (w *world) want(t *testing.T, holder string, moves int, gap time.Duration, alerts ...splitbrain.AlertKind) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Log(w.trace.String())
		}
	}()
	if w.check.violation != "" {
		t.Error(w.check.violation)
	}
	if w.holders() != holder {
		t.Errorf("%q holds, want %q", w.holders(), holder)
	}
	if w.check.moves != moves {
		t.Errorf("holder changed %d times, want %d", w.check.moves, moves)
	}
	if w.check.twoMax != 0 {
		t.Errorf("two holders for %v", w.check.twoMax)
	}
	if w.check.ghostMax != 0 {
		t.Errorf("a second VIP beside that of a dead process for %v", w.check.ghostMax)
	}
	if w.check.vacMax > gap {
		t.Errorf("nobody held for %v, want at most %v", w.check.vacMax, gap)
	}
	for kind := range w.check.alerts {
		if !slices.Contains(alerts, kind) {
			t.Errorf("alert %s was raised", kind)
		}
	}
	for _, kind := range alerts {
		if w.check.alerts[kind] == 0 {
			t.Errorf("alert %s was not raised", kind)
		}
	}
}

func everywhere(i, j *node) bool { return true }

const long = time.Hour

func TestF1AdvertsBlockedEverywhereMovesNothing(t *testing.T) {
	w := steady(t, nil)
	w.cutLinks(10*time.Second, long, "all", vrrpNet, everywhere)
	w.run(15 * time.Second)
	if w.check.alerts[splitbrain.VRRPChannelLost] == 0 {
		t.Error("no vrrp_channel_lost within 5 s")
	}
	w.run(60 * time.Second)
	w.want(t, "n1", 0, 0, splitbrain.VRRPChannelLost)
}

// S38a, S40: the bar of F1: a holder that dies or hangs while its adverts are blocked is
// followed within 1.1 Master_Down_Intervals + 0.5 s, and never early: the VIP
// of a dead process lasts for 2 × Advert_Int at most.
func TestF1HolderDiesWhileAdvertsAreBlocked(t *testing.T) {
	for _, how := range []string{"killed", "stopped"} {
		t.Run(how, func(t *testing.T) {
			w := steady(t, nil)
			w.cutLinks(10*time.Second, long, "all", vrrpNet, everywhere)
			w.at(30*time.Second, func() {
				if how == "killed" {
					w.nodes[0].crash()
				} else {
					w.nodes[0].pause("with its supervisor")
				}
				w.check.relink()
			})
			w.run(60 * time.Second)
			w.want(t, "n2", 1, 11*3610*time.Millisecond/10+500*time.Millisecond,
				splitbrain.VRRPChannelLost, splitbrain.MemberSilent)
		})
	}
}

// The backups of a dead holder do not take over together, although its last
// records reached them at different times and their engines are slow.
func TestF1DeadHolderIsFollowedByOne(t *testing.T) {
	for seed := range uint64(min(1000, runs())) {
		rng := rand.New(rand.NewPCG(seed, 0xf1))
		c := config{nodes: 3, interval: time.Second, heartbeat: 200 * time.Millisecond, preempt: true,
			latency: time.Duration(rng.IntN(3000)) * time.Microsecond}
		w := newWorld(c, seed)
		w.quiet = true
		for i, n := range w.nodes {
			w.at(time.Duration(i)*10*time.Millisecond, n.boot1)
		}
		w.cutLinks(5*time.Second, long, "all", vrrpNet, everywhere)
		killed := 9*time.Second + time.Duration(rng.Int64N(int64(time.Second)))
		late := 5*time.Millisecond + time.Duration(rng.Int64N(int64(55*time.Millisecond)))
		w.shape(killed-600*time.Millisecond, 500*time.Millisecond+time.Duration(rng.Int64N(int64(200*time.Millisecond))), "late records", meshNet, func(l *link) { l.jitter = late })
		w.at(killed, func() { w.nodes[0].crash(); w.check.relink() })
		w.run(killed - time.Millisecond)
		if w.holders() != "n1" {
			t.Fatalf("seed %d: %q holds before the kill", seed, w.holders())
		}
		w.check.moves, w.check.twoMax, w.check.vacMax = 0, 0, 0
		w.run(killed + 5*time.Second)
		if w.holders() != "n2" || w.check.moves != 1 || w.check.twoMax != 0 || w.check.vacMax > 3*time.Second || w.check.violation != "" {
			t.Errorf("seed %d: %q holds, %d moves, two for %v, none for %v, %s", seed,
				w.holders(), w.check.moves, w.check.twoMax, w.check.vacMax, w.check.violation)
		}
	}
}

func TestF2DeafBackupStaysBackup(t *testing.T) {
	w := steady(t, nil)
	w.cutLinks(10*time.Second, long, "n2 deaf", vrrpNet, func(i, j *node) bool { return j.index == 1 })
	w.run(60 * time.Second)
	w.want(t, "n1", 0, 0, splitbrain.VRRPChannelLost)
}

// S41: both channels are cut between n1 and n2; n3 reaches both.
func TestF5PartialPartitionKeepsOneHolder(t *testing.T) {
	for holder := range 3 {
		w := steady(t, nil)
		for ch := range channels {
			w.cutLinks(10*time.Second, 60*time.Second, "pair", ch, func(i, j *node) bool {
				return i.index != holder && j.index != holder
			})
		}
		w.run(80 * time.Second)
		w.want(t, "n1", 0, 0, channelAlerts(holder)...)
	}
}

func channelAlerts(bridge int) []splitbrain.AlertKind {
	if bridge == 0 { // n2 and n3 are cut off from each other; neither is holder
		return []splitbrain.AlertKind{splitbrain.MeshChannelLost}
	}
	return []splitbrain.AlertKind{splitbrain.MeshChannelLost, splitbrain.VRRPChannelLost}
}

// S41: n1 hears n2, n2 hears n3, n3 hears n1, on both channels.
func TestF6RingOfOneWayLossesKeepsOneHolder(t *testing.T) {
	for _, turn := range []int{1, 2} {
		w := steady(t, nil)
		for ch := range channels {
			w.cutLinks(10*time.Second, long, "ring", ch, func(i, j *node) bool {
				return (i.index+turn)%3 != j.index
			})
		}
		w.run(80 * time.Second)
		w.want(t, "n1", 0, 0, splitbrain.MeshChannelLost, splitbrain.VRRPChannelLost)
	}
}

// S47: a total partition of two nodes gives two holders under policy mesh; it ends
// within a heartbeat and two round trips of the heal, the better tenure wins.
func TestF7ConflictEndsAtTheHeal(t *testing.T) {
	for phase := time.Duration(0); phase < 200*time.Millisecond; phase += 7 * time.Millisecond {
		w := steady(t, func(c *config) { c.nodes = 2 })
		heal := 30*time.Second + phase
		for ch := range channels {
			w.cutLinks(10*time.Second, heal-10*time.Second, "all", ch, everywhere)
		}
		w.run(29 * time.Second)
		if w.holders() != "n1 n2" {
			t.Fatalf("%q hold during the partition", w.holders())
		}
		w.run(heal + 200*time.Millisecond + 2*time.Millisecond)
		if w.holders() != "n1" {
			t.Fatalf("%q hold after the heal, want n1\n%s", w.holders(), w.trace.String())
		}
		w.run(60 * time.Second)
		if w.holders() != "n1" || w.check.vacMax > 0 || w.check.violation != "" {
			t.Errorf("%q holds, %v dark, %s", w.holders(), w.check.vacMax, w.check.violation)
		}
		if w.check.alerts[splitbrain.SplitBrainResolved] == 0 {
			t.Fatalf("alerts %v lack split_brain_resolved\n%s", w.check.alerts, w.trace.String())
		}
	}
}

// S45: after a partition only one direction of the mesh comes back. Only the one who
// hears knows of the conflict, so it lets go, whatever the order.
func TestConflictKnownToOneSideIsEndedByIt(t *testing.T) {
	w := steady(t, func(c *config) { c.nodes = 2 })
	w.cutLinks(10*time.Second, long, "all", vrrpNet, everywhere)
	w.cutLinks(10*time.Second, 20*time.Second, "all", meshNet, everywhere)
	w.cutLinks(10*time.Second, long, "n1 → n2", meshNet, func(i, j *node) bool { return i.index == 0 })
	w.run(29 * time.Second)
	if w.holders() != "n1 n2" {
		t.Fatalf("%q hold during the partition", w.holders())
	}
	w.run(30*time.Second + 5*200*time.Millisecond)
	if w.holders() != "n2" {
		t.Errorf("%q hold a second after the heal, want n2\n%s", w.holders(), w.trace.String())
	}
	w.run(60 * time.Second)
	if w.holders() != "n2" || w.check.vacMax > 0 || w.check.violation != "" {
		t.Errorf("%q holds, %v dark, %s\n%s", w.holders(), w.check.vacMax, w.check.violation, w.trace.String())
	}
}

// S70, R8: with preemption a holder that comes back gets the unit back, once.
func TestF10StoppedHolderIsFollowedAndReturnsOnceAtMost(t *testing.T) {
	w := steady(t, nil)
	w.at(10*time.Second, func() { w.nodes[0].pause("with its supervisor"); w.check.relink() })
	w.at(30*time.Second, w.nodes[0].goOn)
	w.run(35 * time.Second)
	if w.holders() != "n2" {
		t.Errorf("%q holds, want n2", w.holders())
	}
	w.run(80 * time.Second)
	w.want(t, "n1", 2, 4*time.Second, splitbrain.MemberSilent)
}

// What a node reads after it stood still is old: claims of a holder that has
// died since must not keep it from taking what it is handed.
func TestHandoverToANodeThatStoodStill(t *testing.T) {
	w := steady(t, func(c *config) { c.interval, c.preempt, c.equal = 200*time.Millisecond, false, false })
	w.at(18*time.Second, func() { w.nodes[1].pause("with its supervisor"); w.check.relink() })
	w.at(22*time.Second, func() { w.nodes[0].pause("with its supervisor"); w.check.relink() })
	w.at(22750*time.Millisecond, w.nodes[1].goOn)
	w.at(22780*time.Millisecond, func() {
		w.nodes[1].core.RequestHandover(w.nodes[0].now(), unitName, "n2")
		w.nodes[1].settle()
	})
	w.run(30 * time.Second)
	if w.check.violation != "" || w.check.vacMax > 900*time.Millisecond || w.holders() != "n2" {
		t.Errorf("%q holds, %v dark, %s\n%s", w.holders(), w.check.vacMax, w.check.violation, w.trace.String())
	}
}

func TestF12FaultOfTheHolderIsFollowedAtOnce(t *testing.T) {
	w := steady(t, nil)
	w.at(10*time.Second, func() { w.nodes[0].track(true, true) })
	w.run(20 * time.Second)
	w.want(t, "n2", 1, 100*time.Millisecond)
}

func TestF16MeshBlockedMovesNothing(t *testing.T) {
	w := steady(t, nil)
	w.cutLinks(10*time.Second, long, "all", meshNet, everywhere)
	w.run(80 * time.Second)
	w.want(t, "n1", 0, 0, splitbrain.MeshChannelLost, splitbrain.MemberSilent)
}

func TestMeshBlockedHolderDiesIsFollowedAsVRRPSays(t *testing.T) {
	w := steady(t, nil)
	w.cutLinks(10*time.Second, long, "all", meshNet, everywhere)
	w.at(20*time.Second, func() { w.nodes[0].crash(); w.check.relink() })
	w.run(40 * time.Second)
	w.want(t, "n2", 1, 3610*time.Millisecond, splitbrain.MeshChannelLost, splitbrain.MemberSilent)
}

func TestGoodbyeIsFollowedWithinARoundTrip(t *testing.T) {
	w := steady(t, nil)
	w.at(10*time.Second, func() { w.nodes[0].stop(); w.check.relink() })
	w.run(20 * time.Second)
	w.want(t, "n2", 1, 10*time.Millisecond)
}

func TestPreemptionIsAHandover(t *testing.T) {
	w := steady(t, nil)
	w.at(10*time.Second, func() { w.nodes[0].crash(); w.check.relink() })
	w.at(20*time.Second, w.nodes[0].boot1)
	w.run(19 * time.Second)
	if w.holders() != "n2" {
		t.Fatalf("%q holds, want n2", w.holders())
	}
	w.check.vacMax, w.check.moves = 0, 0
	w.run(40 * time.Second)
	w.want(t, "n1", 1, 10*time.Millisecond, splitbrain.MemberSilent)
}

func TestHandoverByCommandStays(t *testing.T) {
	w := steady(t, func(c *config) { c.preempt = false })
	w.at(10*time.Second, func() {
		w.nodes[0].core.RequestHandover(w.nodes[0].now(), unitName, "n3")
		w.nodes[0].settle()
	})
	w.run(40 * time.Second)
	w.want(t, "n3", 1, 10*time.Millisecond)
}

func TestRequesterThatDiesIsNotWaitedForLong(t *testing.T) {
	w := steady(t, func(c *config) { c.preempt = false })
	w.at(10*time.Second, func() {
		w.nodes[2].core.RequestHandover(w.nodes[0].now(), unitName, "n3")
		w.nodes[2].settle()
	})
	// It dies when the holder has let go for it, and before it hears of that.
	var kill func()
	kill = func() {
		if w.nodes[0].holds {
			w.at(w.now.Sub(epoch)+10*time.Microsecond, kill)
			return
		}
		w.nodes[2].crash()
		w.check.relink()
	}
	w.at(10*time.Second, kill)
	w.run(40 * time.Second)
	// R = 500 ms, a heartbeat, and the order of succession.
	w.want(t, "n2", 1, 800*time.Millisecond, splitbrain.MemberSilent)
}

func TestPowerOnTogetherGivesOneHolder(t *testing.T) {
	w := newWorld(config{nodes: 5, interval: time.Second, heartbeat: 200 * time.Millisecond, preempt: true, equal: true}, 1)
	for _, n := range w.nodes {
		w.at(0, n.boot1)
	}
	w.run(30 * time.Second)
	if w.check.twoMax > 5*time.Millisecond || w.check.violation != "" || len(w.holders()) != 2 {
		t.Errorf("%q holds, two for %v, %s\n%s", w.holders(), w.check.twoMax, w.check.violation, w.trace.String())
	}
}

// S38, T17: 20 % loss on both channels for a long time moves nothing.
func TestLossOfOneInFiveMovesNothing(t *testing.T) {
	w := steady(t, nil)
	for ch := range channels {
		w.shape(10*time.Second, long, "loss", ch, func(l *link) { l.loss = 0.2 })
	}
	w.run(30 * time.Minute)
	if w.holders() != "n1" || w.check.moves != 0 || w.check.violation != "" {
		t.Errorf("%q holds, %d moves, %s\n%s", w.holders(), w.check.moves, w.check.violation, w.trace.String())
	}
}
