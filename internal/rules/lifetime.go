package rules

import "time"

// AddressGone is when the kernel has removed the last address of a holder that was
// killed or stopped: a lifetime of 1 s ends up to 1.05 s late.
const AddressGone = 2050 * time.Millisecond

// LifetimeLease is how long addresses of a hung holder may outlive its last sign
// of life where no gate stands before them, given its interval of adverts and
// Master_Down_Interval. Claims are believed for 1.1 times that and 20 ms. The
// lifetime of an address proves nothing below an advert interval of a second; there
// claims are believed for Master_Down_Interval, so that a death is never served
// later than VRRP alone would.
func LifetimeLease(advert, masterDown time.Duration) time.Duration {
	return min((masterDown-20*time.Millisecond)*10/11, max(2*advert, AddressGone))
}
