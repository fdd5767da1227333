package cluster

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// quietConn reads and writes a TCP connection with system calls that are not
// announced to the scheduler: an announced one wakes its monitor thread when the
// process was idle, which costs more than the message. Raft's leader sends a few
// messages in each heartbeat to each follower, and nothing else goes on meanwhile.
// The descriptor never blocks, so there is nothing to announce.
type quietConn struct {
	net.Conn
	raw     syscall.RawConn
	in, out transfer
}

// quiet returns a connection of package net without its announcements, others as
// they are.
func quiet(conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return conn // closed already
	}
	c := &quietConn{Conn: conn, raw: raw}
	c.in.init(unix.SYS_READ)
	c.out.init(unix.SYS_WRITE)
	return c
}

// Read implements net.Conn.
func (c *quietConn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, err := c.in.do(c.raw.Read, b)
	if n == 0 && err == nil {
		return 0, io.EOF
	}
	return n, c.wrap("read", err)
}

// Write implements net.Conn.
func (c *quietConn) Write(b []byte) (sent int, err error) {
	for sent < len(b) {
		n, err := c.out.do(c.raw.Write, b[sent:])
		if err != nil {
			return sent, c.wrap("write", err)
		}
		sent += n
	}
	return sent, nil
}

// wrap makes an error of the kernel one of package net; RawConn's are.
func (c *quietConn) wrap(op string, err error) error {
	if errno, ok := err.(syscall.Errno); ok {
		err = &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError(op, errno)}
	}
	return err
}

// transfer is one of the two system calls of a connection.
type transfer struct {
	trap uintptr
	try  func(fd uintptr) bool // bound once: a method value would be allocated for each call

	mu    sync.Mutex // of what follows
	b     []byte
	n     int
	errno syscall.Errno
}

func (t *transfer) init(trap uintptr) {
	t.trap, t.try = trap, t.once
}

// do makes the call when the poller of the given direction says that it can be made.
func (t *transfer) do(wait func(func(fd uintptr) bool) error, b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = b
	defer func() { t.b = nil }()
	if err := wait(t.try); err != nil {
		return 0, err
	}
	if t.errno != 0 {
		return 0, t.errno
	}
	return t.n, nil
}

// once says whether there is a result; otherwise the poller waits.
func (t *transfer) once(fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall(t.trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(t.b))), uintptr(len(t.b)))
		if errno == unix.EINTR {
			continue
		}
		t.n, t.errno = int(n), errno
		return errno != unix.EAGAIN
	}
}
