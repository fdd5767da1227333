package check

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// TCP is TCP_CHECK: a server is up when it accepts a connection within the
// timeout.
type TCP struct {
	Target Target
}

// String implements Checker.
func (c TCP) String() string { return TCPCheck.String() + " " + c.Target.Addr.String() }

// Check implements Checker. Its bound is the timeout.
func (c TCP) Check(ctx context.Context) Result {
	if err := c.connect(ctx); err != nil {
		return c.Target.failed(c, "", err)
	}
	return up(c, "the server accepts connections")
}

// connect opens a connection and resets it: an orderly end would leave it on
// this machine for a minute, and ten thousand checks a hundred thousand of them.
func (c TCP) connect(ctx context.Context) error {
	fd, to, err := c.Target.socket(unix.SOCK_STREAM, unix.IPPROTO_TCP)
	if err != nil {
		return err
	}
	err = unix.Connect(fd, to)
	if !errors.Is(err, unix.EINPROGRESS) {
		return errors.Join(err, unix.Close(fd))
	}
	// Only now the runtime's poller gets to know the socket: one that is not
	// connecting yet would wake it.
	f := os.NewFile(uintptr(fd), c.Target.Addr.String())
	defer f.Close()
	if err := f.SetDeadline(time.Now().Add(c.Target.timeout())); err != nil {
		return err
	}
	defer watch(ctx, f)()
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	waited := raw.Write(func(fd uintptr) (done bool) {
		err = unix.Connect(int(fd), to) // tells how the first one goes
		return !errors.Is(err, unix.EALREADY) && !errors.Is(err, unix.EINPROGRESS)
	})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case waited != nil:
		return waited
	case err != nil && !errors.Is(err, unix.EISCONN):
		return err
	}
	return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}
