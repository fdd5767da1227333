package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// gatewayTrio is three members that probe a gateway, and what they know of the
// network when the story begins: a gateway counts only once it has answered.
type gatewayTrio struct {
	*trio
	gateway *lab.Node
}

func newGatewayTrio(t *testing.T) *gatewayTrio {
	t.Helper()
	lan := lab.New(t)
	s := &gatewayTrio{trio: &trio{lan: lan, a: lan.Node("lb01"), b: lan.Node("lb02"), c: lan.Node("lb03")}}
	s.gateway = lan.Host("gateway")
	s.watch = lan.Watch(vip)
	s.da, s.db, s.dc = s.a.StartMember(lab.Control), s.b.StartMember(lab.Control), s.c.StartMember(lab.Control)
	conf := fmt.Sprintf("cluster {\n\tgateway_probe %v\n}\n", s.gateway.Addr4(lab.Service)) + trioConf("")
	lab.Form(t, conf, s.da, s.db, s.dc)
	for _, d := range s.daemons() {
		wantPeers(t, d, 2)
	}
	s.watch.WantHolder(s.a, vip, electionTime+3*masterDown(150))
	lab.During(3 * time.Second) // a probe of the gateway each second
	return s
}

// silentAfter is how long it takes to know that a gateway is silent: a second
// until the next probe of it, then rounds half a second apart, as many as make
// chance unlikely on a network of which little is known yet.
const silentAfter = 5 * time.Second

// F13: the holder loses its gateway, the others have theirs.
func TestF13GatewayUnreachableForTheHolderOnly(t *testing.T) {
	t.Parallel()
	s := newGatewayTrio(t)
	cut := time.Now()
	s.lan.Part([]*lab.Node{s.a}, []*lab.Node{s.gateway}, lab.Service)
	s.watch.WantHolder(s.b, vip, silentAfter)
	view := s.watch.Since(cut)
	view.WantNeverTwo(0, vip)
	view.WantDarkAtMost(slack, vip)

	// Out of rank for ten seconds of answers, then back by priority. A node that
	// a busy machine has let stand still waits for longer.
	s.lan.Heal()
	lab.During(8 * time.Second)
	s.watch.WantHolder(s.b, vip, time.Second)
	s.watch.WantHolder(s.a, vip, 10*time.Second+3*masterDown(150))
	view = s.watch.Since(cut)
	view.WantNeverTwo(meeting, vip)
	view.WantDarkAtMost(slack, vip)
}

// F14: with the gateway dead for all the address stays, and it is said.
func TestF14GatewayDeadForAll(t *testing.T) {
	t.Parallel()
	s := newGatewayTrio(t)
	cut := time.Now()
	s.gateway.CutLink(lab.Service)
	wantAlert(t, s.da, silentAfter+time.Second, "data_path_lost", "VI_1")
	lab.During(5 * time.Second)
	s.watch.WantHolder(s.a, vip, time.Second)
	view := s.watch.Since(cut)
	view.WantNeverTwo(0, vip)
	view.WantDarkAtMost(slack, vip)
}

// S42: the holder's service network is dead with its link up, and its records
// arrive by the control network: claims must not hold the others back for ever.
func TestHolderWithADeadServiceNetworkHandsOver(t *testing.T) {
	t.Parallel()
	s := newGatewayTrio(t)
	cut := time.Now()
	s.lan.Part([]*lab.Node{s.a}, []*lab.Node{s.b, s.c, s.gateway}, lab.Service)
	s.watch.WantHolder(s.b, vip, silentAfter)
	s.watch.Since(cut).WantNeverTwo(0, vip)
}

// R5, F4 under policy mesh: cut off from all, with a gateway that it knew, the
// holder lets go before the others take over.
func TestF4IsolatedHolderLetsGoUnderMesh(t *testing.T) {
	t.Parallel()
	s := newGatewayTrio(t)
	lab.During(20 * time.Second) // until the network is known to lose nothing
	cut := time.Now()
	s.lan.Part([]*lab.Node{s.a}, []*lab.Node{s.b, s.c, s.gateway}, lab.Service, lab.Control)
	s.watch.WantHolder(s.b, vip, masterDown(120)+2*time.Second)
	s.watch.Since(cut).WantDarkAtMost(masterDown(120)+slack, vip)
	s.a.WantNoAddr(vip, time.Second)
	s.watch.Since(cut).WantNeverTwo(0, vip)
	lab.During(5 * time.Second)
	if s.a.Has(vip) {
		t.Error("the isolated node took the address again, want it to wait for an answer")
	}
	healed := time.Now()
	s.lan.Heal()
	s.watch.WantHolder(s.a, vip, 25*time.Second)
	s.watch.Since(healed).WantNeverTwo(meeting, vip)
}
