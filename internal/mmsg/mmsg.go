package mmsg

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Message is struct mmsghdr.
type Message struct {
	Header unix.Msghdr
	Length uint32 // of what was received or sent
}

// call is one of the two system calls on one socket.
type call struct {
	trap     uintptr
	conn     syscall.RawConn
	try      func(fd uintptr) bool // bound once: a method value would be allocated for each call
	messages []Message
	hurry    bool // EAGAIN is a result
	done     int  // messages
	errno    syscall.Errno
}

func (c *call) init(trap uintptr, conn syscall.RawConn) {
	c.trap, c.conn = trap, conn
	c.try = c.once
}

// once says whether there is a result; otherwise the poller waits.
func (c *call) once(fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall6(c.trap, fd,
			uintptr(unsafe.Pointer(&c.messages[0])), uintptr(len(c.messages)), unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		c.done, c.errno = int(n), errno
		return c.hurry || errno != unix.EAGAIN
	}
}
