package ipvs

import (
	"fmt"
	"time"

	moby "github.com/moby/ipvs"
)

// Timeouts are how long connections without packets are remembered: whole
// seconds.
type Timeouts struct {
	TCP, TCPFin, UDP time.Duration
}

// Timeouts reads those of the calling thread's network namespace, which must be
// the one of Open.
func (k *Kernel) Timeouts() (t Timeouts, err error) {
	err = withMoby(func(h *moby.Handle) error {
		c, err := h.GetConfig()
		if err == nil {
			t = Timeouts{c.TimeoutTCP, c.TimeoutTCPFin, c.TimeoutUDP}
		}
		return err
	})
	if err != nil {
		return Timeouts{}, fmt.Errorf("read IPVS timeouts: %w", err)
	}
	return t, nil
}

// SetTimeouts changes those that are not zero, where Timeouts reads them.
func (k *Kernel) SetTimeouts(t Timeouts) error {
	err := withMoby(func(h *moby.Handle) error {
		return h.SetConfig(&moby.Config{TimeoutTCP: t.TCP, TimeoutTCPFin: t.TCPFin, TimeoutUDP: t.UDP})
	})
	if err != nil {
		return fmt.Errorf("set IPVS timeouts: %w", err)
	}
	return nil
}

// withMoby opens the library for one call. It resolves the family once for the
// life of the process, and never again when that fails: Open came first, so the
// module is there.
func withMoby(f func(*moby.Handle) error) error {
	h, err := moby.New("")
	if err != nil {
		return err
	}
	defer h.Close()
	return f(h)
}
