package sim

import (
	"testing"
	"time"

	"github.com/hacluster/hacluster/splitbrain"
)

func probing(c *config) { c.around = withGateway }

// cutOff cuts a node off on a channel; on the service network from the gateway too.
func (w *world) cutOff(at time.Duration, a *node, ch int) {
	w.cutLinks(at, long, a.name+" cut off", ch, func(i, j *node) bool { return i == a || j == a })
}

// wantCache checks that the gateway sends packets for the VIP to its holder (G4).
func (w *world) wantCache(t *testing.T) {
	t.Helper()
	if c := w.router.cache; c == nil || w.holders() != c.name {
		t.Errorf("the gateway has %v in its cache, %q holds\n%s", c, w.holders(), tail(w.trace.String(), 3000))
	}
}

func TestF13HolderWithoutGatewayIsRelieved(t *testing.T) {
	w := steady(t, probing)
	w.cutLinks(20*time.Second, long, "n1 – gateway", vrrpNet, func(i, j *node) bool {
		return i == w.nodes[0] && j == w.router.node || j == w.nodes[0] && i == w.router.node
	})
	w.run(30 * time.Second)
	w.want(t, "n2", 1, 10*time.Millisecond, splitbrain.DataPathLost)
	w.wantCache(t)
}

func TestF14DeadGatewayMovesNothing(t *testing.T) {
	w := steady(t, probing)
	w.at(20*time.Second, w.router.die)
	w.at(40*time.Second, w.router.live)
	w.run(60 * time.Second)
	w.want(t, "n1", 0, 0, splitbrain.DataPathLost)
}

// The whole network is cut while the holder dies, so that nobody hears the next one
// announce itself: it does so again when the gateway answers.
func TestAnnouncementsThatNobodyHeardAreRepeated(t *testing.T) {
	w := steady(t, probing)
	w.cutLinks(20*time.Second, 20*time.Second, "all", vrrpNet, everywhere)
	w.at(21*time.Second, func() { w.nodes[0].crash(); w.check.relink() })
	w.run(39 * time.Second)
	if w.holders() != "n2" || w.router.cache != w.nodes[0] {
		t.Fatalf("%q holds, the gateway has %s in its cache; want n2, and n1", w.holders(), w.router.cache.name)
	}
	w.run(43 * time.Second)
	w.wantCache(t)
}

// The holder is cut off from the members and not from the gateway, so that two hold.
// Whatever comes first at the heal, an advert of the better one or a record of either,
// that one announces itself again.
func TestWinnerOfAConflictAnnouncesAgainWhateverCameFirst(t *testing.T) {
	for phase := time.Duration(0); phase < time.Second; phase += 20 * time.Millisecond {
		w := steady(t, probing)
		members := func(n *node) bool { return n != w.nodes[0] && n != w.router.node }
		for ch := range channels {
			w.cutLinks(20*time.Second, 10*time.Second+phase, "n1 – members", ch, func(i, j *node) bool {
				return i == w.nodes[0] && members(j) || j == w.nodes[0] && members(i)
			})
		}
		w.run(30 * time.Second)
		if w.router.cache != w.nodes[1] {
			t.Fatalf("the gateway has %s in its cache, want n2, the last one to announce itself", w.router.cache.name)
		}
		w.run(33*time.Second + phase)
		w.wantCache(t)
	}
}

// A machine that knows nothing of VRRP announces itself for the address, and is gone
// before anybody can do anything about it: the holder announces itself after it.
func TestHolderAnnouncesAgainstAStrangerThatDidOnce(t *testing.T) {
	w := steady(t, probing)
	for _, at := range []time.Duration{20 * time.Second, 23 * time.Second} {
		w.at(at, func() { w.stranger.comes(squatting, 0, time.Second); w.check.relink() })
		w.at(at+200*time.Millisecond, func() { w.stranger.goes(false); w.check.relink() })
	}
	w.run(21 * time.Second)
	if w.router.cache != w.stranger.node {
		t.Fatalf("the gateway has %s in its cache, want the stranger", w.router.cache.name)
	}
	w.run(21500 * time.Millisecond)
	w.wantCache(t)
	w.run(25 * time.Second)
	if w.router.cache != w.stranger.node {
		t.Fatalf("the gateway has %s in its cache, want the stranger: two that defend an address make it change its mind", w.router.cache.name)
	}
	w.run(40 * time.Second)
	w.wantCache(t)
}

// The gateway is dead, and a node that has just started has never heard it: that
// members answer there is no reason to move the unit.
func TestF14DeadGatewayAndANodeThatNeverKnewItMoveNothing(t *testing.T) {
	w := steady(t, probing)
	w.at(20*time.Second, w.router.die)
	w.at(22*time.Second, func() { w.nodes[1].crash(); w.check.relink() })
	w.at(24*time.Second, w.nodes[1].boot1)
	w.at(40*time.Second, w.router.live)
	w.run(60 * time.Second)
	w.want(t, "n1", 0, 0, splitbrain.DataPathLost)
}

// F4 under policy mesh: members and gateway fall silent together, so the fault is
// here (R5).
func TestF4MeshIsolatedHolderLetsGo(t *testing.T) {
	w := steady(t, probing)
	for ch := range channels {
		w.cutOff(20*time.Second, w.nodes[0], ch)
	}
	w.run(40 * time.Second)
	if w.holders() != "n2" || w.check.violation != "" {
		t.Errorf("%q holds, %s\n%s", w.holders(), w.check.violation, tail(w.trace.String(), 3000))
	}
	w.wantCache(t)
}

// Records of the holder arrive, and nothing on the service network: it serves
// nobody.
func TestHolderOnADeadNetworkIsFollowed(t *testing.T) {
	w := steady(t, probing)
	w.cutOff(20*time.Second, w.nodes[0], vrrpNet)
	w.run(40 * time.Second)
	if w.holders() != "n2" || w.check.twoMax > 0 || w.check.violation != "" {
		t.Errorf("%q holds, two for %v, %s\n%s", w.holders(), w.check.twoMax, w.check.violation, tail(w.trace.String(), 3000))
	}
	w.wantCache(t)
}

// R9.3: the worker dies and its last will is lost. Its machine answers and the VIP
// does not: that proves it.
func TestHolderIsProvedGoneByProbes(t *testing.T) {
	w := steady(t, probing)
	w.at(20*time.Second, w.nodes[0].kill)
	w.cutLinks(20*time.Second, 500*time.Millisecond, "the will is lost", meshNet, func(i, j *node) bool { return i == w.nodes[0] })
	w.run(30 * time.Second)
	w.want(t, "n2", 1, time.Second, splitbrain.MemberSilent)
	w.wantCache(t)
}

// A machine without power answers nothing, which proves nothing: the order of
// succession waits for the claim to grow old.
func TestHolderWithoutPowerIsFollowedInTime(t *testing.T) {
	w := steady(t, probing)
	w.at(20*time.Second, func() { w.nodes[0].powerOff(); w.check.relink() })
	w.run(29 * time.Second)
	w.want(t, "n2", 1, 3610*time.Millisecond, splitbrain.MemberSilent)
	w.wantCache(t)
}
