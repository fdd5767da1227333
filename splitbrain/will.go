package splitbrain

// Will is what others shall be told when this process has died, each datagram
// as one of Options.Send. Whoever keeps it sends it only after it has verified
// that the gates of all units are closed and their addresses gone: it says that
// their tenures are over, and gives their leases back. Nothing of this life
// counts after it.
type Will []Outgoing

// Outgoing is a datagram for one member.
type Outgoing struct {
	To      string
	Payload []byte
}
