package observed

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/vrrp"
)

func TestTheEngineIsAskedSeldomAndNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, taken, busy := 0, 0, false
		r := &Refresher{
			Ask: func(ctx context.Context) ([]vrrp.UnitStatus, error) {
				asked++
				if busy {
					<-ctx.Done()
					return nil, errors.New("busy")
				}
				return nil, nil
			},
			Take: func([]vrrp.UnitStatus) { taken++ },
		}
		for range 10 {
			r.Refresh(t.Context())
		}
		if asked != 1 || taken != 1 {
			t.Errorf("asked %d times, taken %d; want once", asked, taken)
		}
		time.Sleep(refreshEvery)
		busy = true
		start := time.Now()
		r.Refresh(t.Context())
		if took := time.Since(start); took != refreshTime || asked != 2 || taken != 1 {
			t.Errorf("a busy engine: waited %v, asked %d, taken %d", took, asked, taken)
		}
	})
}
