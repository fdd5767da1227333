package netif

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Renew prolongs everything claimed in one pass, and puts back what others
// removed. Owners whose last pass is longer ago than their lease are left alone, and
// the error is then ErrLapsed until they are claimed again or released: it is a
// sign that this process stood still (R8), so the unit must go BACKUP.
// The owners named are left alone as well, and nothing is said of them.
func (a *Addresses) Renew(except ...string) error {
	now, err := boottime()
	if err != nil {
		return err
	}
	if !slices.Equal(a.except, except) {
		a.except, a.stale = slices.Clone(except), true
	}
	var lapsed []string
	for _, h := range a.held {
		if now-h.at > h.lease && !h.foreign && !slices.Contains(lapsed, h.owner) && !slices.Contains(except, h.owner) {
			lapsed = append(lapsed, h.owner)
		}
	}
	if a.stale || len(lapsed) > 0 {
		a.buildRenewal(lapsed)
	}
	var errs []error
	if len(lapsed) > 0 {
		slices.Sort(lapsed)
		errs = append(errs, fmt.Errorf("renew addresses of %s: %w", strings.Join(lapsed, ", "), ErrLapsed))
	}
	if len(a.renewed) == 0 {
		return errors.Join(errs...)
	}
	for _, h := range a.renewed {
		h.at = now
	}
	err = a.conn.Do(&a.renewal.Requests, func(i int, err error) {
		addr := a.renewed[i].addr
		errs = append(errs, fmt.Errorf("renew %s on %s: %w", addr.Prefix, addr.Interface, err))
	})
	if err != nil {
		errs = append(errs, fmt.Errorf("renew addresses: %w", err))
	}
	return errors.Join(errs...)
}

// buildRenewal lays out the request of one pass. With lapsed owners it is built
// again next time.
func (a *Addresses) buildRenewal(lapsed []string) {
	a.renewal.Reset()
	a.renewed = a.renewed[:0]
	for _, h := range a.held {
		if h.foreign || slices.Contains(lapsed, h.owner) || slices.Contains(a.except, h.owner) {
			continue
		}
		a.renewal.addAddr(h.addr, h.index, h.lease, unix.NLM_F_REPLACE)
		a.renewed = append(a.renewed, h)
	}
	a.stale = len(lapsed) > 0
}

// boottime is CLOCK_BOOTTIME: unlike the runtime's clock it counts the time
// that the machine was suspended.
func boottime() (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0, fmt.Errorf("read CLOCK_BOOTTIME: %w", err)
	}
	return time.Duration(ts.Nano()), nil
}
