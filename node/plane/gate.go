package plane

import (
	"context"
	"errors"
	"time"

	"github.com/hacluster/hacluster/internal/gate"
	"github.com/hacluster/hacluster/internal/kclock"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/vrrp"
)

// kernelGate is package gate as the engine wants it.
type kernelGate struct{ *gate.Gate }

func (g kernelGate) Now() time.Duration                      { return gate.Now() }
func (g kernelGate) At(instant kclock.Instant) time.Duration { return gate.At(instant) }
func (g kernelGate) NewSlot() (s vrrp.GateSlot, err error) {
	slot, err := g.Gate.NewSlot()
	return gateSlot{slot}, err
}

type gateSlot struct{ *gate.Slot }

func (s gateSlot) Guard(what vrrp.Guarded) error {
	var out gate.Guarded
	for _, a := range what.Addresses {
		out.Addresses = append(out.Addresses, gate.OnLink(a.Addr, a.Ifindex))
	}
	for _, r := range what.Routers {
		out.Routers = append(out.Routers, gate.Router{Ifindex: r.Ifindex, Family: uint8(r.Family), VRID: uint8(r.VRID)})
	}
	return s.Slot.Guard(out)
}

// askTimeout bounds the wait for the supervisor, which opens the gate at the first
// time.
const askTimeout = 5 * time.Second

// openGate opens the kernel gate, or says why there is none.
func (p *Plane) openGate() (missing string) {
	var err error
	if p.gate, err = p.takeGate(); err != nil {
		p.o.Log.Warn("there is no kernel gate: a daemon that hangs keeps its addresses until their lifetime ends", "err", err)
		return err.Error()
	}
	return ""
}

// engineGate is the gate for the engine.
func (p *Plane) engineGate() vrrp.Gate {
	if p.gate == nil {
		return nil
	}
	return kernelGate{p.gate}
}

// takeGate takes the kernel gate from the supervisor, who can close it when this
// process is dead. Nothing of an earlier life may be left but what an heir goes on
// with: the rest is guarded no longer.
func (p *Plane) takeGate() (*gate.Gate, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	files, err := p.o.Supervisor.Gate(ctx)
	if err != nil {
		return nil, err
	}
	g, err := gate.FromFiles(files, gate.Options{
		Name:     p.o.RunDir, // several daemons on one machine have each their own
		Log:      p.o.Log.With("component", "gate"),
		Restored: p.gateRestored,
	})
	if err != nil {
		return nil, err
	}
	if p.o.Inherited {
		err = keepSlots(g)
	} else {
		err = g.Reset()
	}
	if err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// gateRestored tells people that somebody removed the gate from a link.
func (p *Plane) gateRestored(link string, err error) {
	a := observed.GateRemoved(link, err, time.Now())
	p.o.Alert(a)
	if err == nil {
		a.Resolved = time.Now()
		p.o.Alert(a)
	}
}

// keepSlots lets the slots of the process before run out: an heir takes new ones,
// and what these guard passes to them as it is taken up.
func keepSlots(g *gate.Gate) error {
	left, err := g.Slots()
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range left {
		_, err := g.AdoptSlot(l.Index)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// takeGateDown removes the gate from the links, if nothing is left behind it.
func (p *Plane) takeGateDown() error {
	left, err := p.gate.Slots()
	if err == nil && len(left) == 0 {
		err = p.gate.Remove()
	}
	return errors.Join(err, p.gate.Close())
}
