// Package kclock has the two clocks of the kernel that package time cannot
// offer: an alarm that goes off within a tenth of a millisecond, and the raw
// monotonic clock, which nobody slews.
//
// Timerfd is the alarm of the VRRP scheduler. The gaps between the adverts of
// a master are as steady as its alarm is: a timerfd wakes the runtime's poller
// with 0.06 to 0.10 ms deviation, a time.Timer with 0.4 to 0.5 ms. Timer has
// the same methods upon a time.Timer, for tests in virtual time.
//
// Everything else in this module uses package time; Sleep is what that lacks.
package kclock
