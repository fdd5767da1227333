package gate

import (
	"testing"
	"time"
)

func TestShiftOfATimeNamespaceIsRead(t *testing.T) {
	const none = "monotonic           0         0\nboottime            0         0\n"
	tests := []struct {
		name, text string
		want       time.Duration
	}{
		{"no shift", none, 0},
		{"ahead", "monotonic       86400         0\nboottime        86400 500000000\n", 24*time.Hour + 500*time.Millisecond},
		{"behind", "monotonic           0         0\nboottime          -10 250000000\n", -10*time.Second + 250*time.Millisecond},
		{"nothing readable", "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseBootShift(tt.text); got != tt.want {
				t.Errorf("shift = %v, want %v", got, tt.want)
			}
		})
	}
}
