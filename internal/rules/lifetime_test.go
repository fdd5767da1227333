package rules

import (
	"testing"
	"time"
)

func TestClaimsAreBelievedNoLongerThanVRRPAloneWouldWait(t *testing.T) {
	tests := []struct {
		name       string
		advert     time.Duration
		masterDown time.Duration
		wantFresh  time.Duration // 1.1 K + 20 ms
	}{
		{"at a second the lifetime of the address bounds it", time.Second, 3609 * time.Millisecond, 2275 * time.Millisecond},
		{"at three seconds twice the interval", 3 * time.Second, 10828 * time.Millisecond, 6620 * time.Millisecond},
		{"at 100 ms Master_Down_Interval", 100 * time.Millisecond, 360937500 * time.Nanosecond, 360937500 * time.Nanosecond},
		{"at 10 ms Master_Down_Interval", 10 * time.Millisecond, 32187500 * time.Nanosecond, 32187500 * time.Nanosecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := LifetimeLease(tt.advert, tt.masterDown)
			if fresh := k*11/10 + 20*time.Millisecond; (fresh - tt.wantFresh).Abs() > time.Microsecond {
				t.Errorf("fresh = %v, want %v", fresh, tt.wantFresh)
			}
		})
	}
}
