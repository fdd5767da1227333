package ipvs

import (
	"context"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/nlmsg"
)

// answerTimeout bounds the wait for an answer.
const answerTimeout = 5 * time.Second

// socket is one generic netlink socket. It starts no exchange when the context
// is done.
type socket struct{ *nlmsg.Socket }

func dial() (socket, error) {
	s, err := nlmsg.Dial(unix.NETLINK_GENERIC, answerTimeout)
	return socket{s}, err
}

// do sends requests in one go. refused is called for each that the kernel
// refused, by position.
func (s socket) do(ctx context.Context, r *encoder, refused func(i int, err error)) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return s.Do(&r.Requests, refused)
}

// ask sends one request and calls f with each message of the answer; f's first
// error is returned when the answer is complete. A dump that a change interrupted
// is complete all the same: what it lacks is found the next time.
func (s socket) ask(ctx context.Context, r *encoder, f func(nlmsg.Message) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	_, err := s.Ask(&r.Requests, f)
	return err
}

// resolve returns the number of the family IPVS; unix.ENOENT: it is not loaded.
func (s socket) resolve(ctx context.Context) (family uint16, err error) {
	e := &encoder{family: unix.GENL_ID_CTRL}
	e.begin(unix.CTRL_CMD_GETFAMILY, 0)
	e.String(unix.CTRL_ATTR_FAMILY_NAME, familyName)
	e.End()
	err = s.ask(ctx, e, func(m nlmsg.Message) error {
		v, err := nested(m, unix.CTRL_ATTR_FAMILY_ID)
		family = uint16(nlmsg.Uint(v))
		return err
	})
	return family, err
}
