package netif

import "errors"

// Announcer sends gratuitous ARP and unsolicited neighbour advertisements,
// through one packet socket for each interface. One goroutine uses it.
type Announcer struct{}

// NewAnnouncer returns an Announcer that has no socket open yet.
func NewAnnouncer() (*Announcer, error) { return nil, errors.ErrUnsupported }

// Announce sends one message for each announcement, in the order given. It
// tries all of them; the error joins one for each interface that failed.
func (a *Announcer) Announce(list []Announcement) error { return errors.ErrUnsupported }

// LinkGone closes the socket of an interface that no longer exists.
func (a *Announcer) LinkGone(index int) {}

// Close closes all sockets.
func (a *Announcer) Close() error { return errors.ErrUnsupported }
