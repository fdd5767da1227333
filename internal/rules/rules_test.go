package rules

import (
	"testing"
	"time"
)

// S68, R6b: for every lease, with both clocks at their bounds.
func TestHolderIsSilentBeforeItsVotersGrantAnother(t *testing.T) {
	for lease := MinLease; lease <= MaxLease; lease += 10 * time.Millisecond {
		// A voter counts L from when it processes the request, by a raw clock that
		// may be 2 % quick.
		if silent, again := SilentAfter(lease), lease*98/100; silent >= again {
			t.Fatalf("lease %v: silent after %v, granted again after %v", lease, silent, again)
		}
		if Usable(lease) <= 0 {
			t.Fatalf("Usable(%v) = %v, want more than 0", lease, Usable(lease))
		}
	}
}

func TestDefaultLeaseIsTwoAdvertsWithinBounds(t *testing.T) {
	for advert, want := range map[time.Duration]time.Duration{
		10 * time.Millisecond: MinLease,
		time.Second:           2 * time.Second,
		5 * time.Second:       10 * time.Second,
	} {
		if got := DefaultLease(advert); got != want {
			t.Errorf("DefaultLease(%v) = %v, want %v", advert, got, want)
		}
	}
}
