package membership

import (
	"context"
	"net/netip"
	"reflect"
	"time"

	"github.com/hacluster/hacluster/cluster"
	"github.com/hacluster/hacluster/cluster/mesh"
	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/internal/kclock"
	"github.com/hacluster/hacluster/node/arbitrate"
	"github.com/hacluster/hacluster/node/neighbours"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// startLife makes the arbiter, in a life of its own or in one that another process
// began. What it starts by itself ends with ctx.
func (s *Membership) startLife(ctx context.Context, life Life) {
	voter, bound := s.o.Cluster.VoterMemory(splitbrain.MaxLease)
	s.voter = voter
	s.Arbiter = splitbrain.New(splitbrain.Options{
		Node:    s.o.Node,
		Boot:    s.boot,
		Seq:     life.Seq,
		Legacy:  life.Arbiter,
		Cluster: s.incarnation,
		Logger:  s.o.Log.With("component", "splitbrain"),
		Deliver: func(v []splitbrain.UnitVerdict) {
			// An engine that has stopped needs no verdicts.
			_ = s.o.Plane.Engine.Deliver(context.WithoutCancel(ctx), arbitrate.Deliveries(v)...)
		},
		Send: func(members []string, payloads [][]byte) {
			// Best effort: what is lost shows in what the others acknowledge.
			_ = s.o.Cluster.Send(members, payloads...)
			s.o.Will.Refresh()
		},
		Will:       func(w splitbrain.Will) { s.o.Will.Say(w, s.o.Cluster) },
		Binding:    s.recall(),
		Keep:       func(until kclock.Instant) { s.o.Pledge.Keep(int64(until)) },
		Electorate: splitbrain.Electorate(s.voter.Electorate()),
		StoreElectorate: func(e splitbrain.Electorate) {
			// The disk may stand still: it ends with the membership, or after one
			// write more.
			go func() {
				if s.voter.Store(ctx, cluster.Electorate(e)) {
					s.Arbiter.ElectorateStored(e)
				}
			}()
		},
		Alert:   func(a splitbrain.Alert) { s.o.View.Alert(observed.FromArbiter(s.o.Node, a, time.Now())) },
		Trace:   s.o.Traces.Add,
		Publish: s.peersChanged,

		Probe:    s.o.Near.Send,
		Verified: func(v splitbrain.Verified) { s.o.View.Record(observed.FromVerification(v)) },
	})
	s.Arbiter.SetMACs(neighbours.Hardware())
	s.Arbiter.SetLeaseBound(bound)
}

// recall is until when this node is bound by what it granted before in this cluster,
// on the clock of leases; zero: that is not known.
func (s *Membership) recall() kclock.Instant {
	until, known := s.o.Pledge.Until(s.incarnation)
	if !known {
		s.o.Pledge.Begin(s.incarnation)
		return 0
	}
	left := kclock.Instant(until).Sub(kclock.Now())
	s.o.Log.Info("what the process before granted is known: leases are granted again when it has ended", "in", max(left, 0))
	return kclock.Instant(until)
}

// Receive takes a heartbeat. It runs on the mesh's goroutine.
func (s *Membership) Receive(r mesh.Receipt) {
	if err := s.Arbiter.Receive(r.Payload, r.Path, r.At, r.More); err != nil {
		s.o.Log.Debug("heartbeat dropped", "from", r.From, "err", err)
	}
}

// UnitsChanged runs on the engine's goroutine.
func (s *Membership) UnitsChanged(units []vrrp.UnitStatus) { s.Arbiter.SetUnits(s.o.Near.Units(units)) }

// Observe takes an advert that was heard. It runs on the engine's goroutine.
func (s *Membership) Observe(o vrrp.Observation) {
	if unit, ok := s.o.Runner.Running().UnitOf[o.Instance]; ok {
		s.Arbiter.Observe(arbitrate.Evidence(o, unit))
	}
}

// peersChanged runs on the arbiter's goroutine.
func (s *Membership) peersChanged(p splitbrain.PeerView) {
	s.o.View.Peers(p)
	s.restarts.Note(p, s.o.View.Record)
	s.fencing.PeersChanged()
	s.tellKin(p)
	// A member's adverts come from the networks of its virtual addresses:
	// heartbeats take them, too, so that no one network silences it.
	paths := make(map[string][]netip.Addr)
	for _, peer := range p.Members {
		for _, a := range peer.Addrs {
			if !a.IsLinkLocalUnicast() { // useless without its interface
				paths[peer.Name] = append(paths[peer.Name], a)
			}
		}
	}
	if !reflect.DeepEqual(paths, s.paths) {
		s.paths = paths
		s.o.Cluster.SetPaths(paths)
	}
}

// tellKin tells the engine who is no stranger: all configured members, also those
// that are not heard at present.
func (s *Membership) tellKin(p splitbrain.PeerView) {
	witness := make(map[string]bool)
	for _, mem := range s.o.Cluster.Members() {
		witness[mem.Name] = mem.Role == store.RoleWitness
	}
	kin := vrrp.Kin{Complete: true}
	for _, peer := range p.Members {
		kin.Addrs = append(kin.Addrs, peer.Addrs...)
		// A member that has not said in this life where it sends from may yet do so.
		kin.Complete = kin.Complete && (peer.Boot != 0 && len(peer.Addrs) > 0 || witness[peer.Name])
	}
	if !reflect.DeepEqual(kin, s.kin) {
		s.kin = kin
		// An engine that has stopped hears nobody.
		_ = s.o.Plane.Engine.SetKin(context.Background(), kin)
	}
}
