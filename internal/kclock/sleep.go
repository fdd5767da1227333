package kclock

import (
	"context"
	"time"
)

// Sleep is time.Sleep that ends with ctx, and reports false then.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
