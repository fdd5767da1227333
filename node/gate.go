package node

import (
	"log/slog"
	"time"

	"github.com/hacluster/hacluster/desired"
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

// openGate makes the kernel gate of this daemon, or says why there is none. Several
// daemons on one machine have run directories of their own.
func openGate(log *slog.Logger, runDir string, alert func(observed.Alert)) (*gate.Gate, error) {
	g, err := gate.New(gate.Options{
		Name: runDir,
		Log:  log.With("component", "gate"),
		Restored: func(link string, err error) {
			a := observed.Alert{
				ID: "kernel_gate_removed/" + link, Code: "kernel_gate_removed", Severity: observed.Warning, Since: time.Now(),
				Summary: "somebody removed the kernel gate from " + link,
				Next:    "find out what removes clsact or its filters from " + link + ": without them a hung daemon goes on answering",
			}
			if err != nil {
				a.Summary += ", and it could not be put back"
				a.Evidence = []string{err.Error()}
			}
			alert(a)
			if err == nil {
				a.Resolved = time.Now()
				alert(a)
			}
		},
	})
	if err != nil {
		log.Warn("there is no kernel gate: a daemon that hangs keeps its addresses until their lifetime ends", "err", err)
	}
	return g, err
}

// gateMode is what keeps the gate of a unit open. Without an arbiter that gives
// leases, which a machine of its own does not have, adverts do.
func gateMode(s desired.SplitBrain, leases bool) vrrp.KernelLease {
	switch {
	case s.Policy == "quorum" && leases:
		return vrrp.LeaseByEvents
	case s.KernelLease:
		return vrrp.LeaseByAdverts
	default:
		return vrrp.NoKernelLease
	}
}
