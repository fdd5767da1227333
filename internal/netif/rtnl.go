package netif

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/nlmsg"
)

// rtnlTimeout bounds the wait for an answer.
const rtnlTimeout = 2 * time.Second

// rtnl is one rtnetlink socket for requests. The library's handle costs about
// 6 µs for each address and one system call or more; here a renewal of all is
// one system call.
type rtnl struct{ *nlmsg.Socket }

func dialRtnl() (rtnl, error) {
	s, err := nlmsg.Dial(unix.NETLINK_ROUTE, rtnlTimeout)
	return rtnl{s}, err
}

// requests is a sequence of rtnetlink requests.
type requests struct{ nlmsg.Requests }

// do sends requests and returns one result each. The error is for the exchange
// itself.
func (c rtnl) do(r *requests) ([]error, error) {
	results := make([]error, r.Len())
	err := c.Do(&r.Requests, func(i int, err error) { results[i] = err })
	return results, err
}

// dumpAttempts bounds the repeats of a dump that changes interrupt.
const dumpAttempts = 10

// dump sends one dump request and calls f with each message of the answer. A
// dump that a change interrupted is repeated; begin is called before each.
func (c rtnl) dump(r *requests, begin func(), f func(nlmsg.Message)) error {
	for range dumpAttempts {
		begin()
		interrupted, err := c.Ask(&r.Requests, func(m nlmsg.Message) error {
			f(m)
			return nil
		})
		if err != nil || !interrupted {
			return err
		}
	}
	return errors.New("dump: interrupted by changes ten times in a row")
}
