package vrrp

import (
	"fmt"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchReader reads packets with recvmmsg(2), by hand. The batch calls of
// golang.org/x/net allocate an address for each packet, and they announce each
// system call to the scheduler, which then wakes its monitor thread: for a
// backup, which sleeps and hears one packet at a time, that costs more than
// the packet. The descriptor never blocks, so there is nothing to announce.
type batchReader struct {
	conn    syscall.RawConn
	try     func(fd uintptr) bool // bound once: a method value would be allocated for each call
	want    int
	got     int
	errno   syscall.Errno
	headers [readBatch]mmsghdr
	iovecs  [readBatch]unix.Iovec
	names   [readBatch]unix.RawSockaddrInet6 // long enough for both families
	buffers [readBatch][maxPacket]byte
	oobs    [readBatch][oobSize]byte
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
}

func newBatchReader(c *net.IPConn) (*batchReader, error) {
	conn, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	r := &batchReader{conn: conn}
	r.try = r.recvmmsg
	for n := range r.headers {
		r.iovecs[n].Base = &r.buffers[n][0]
		r.iovecs[n].SetLen(len(r.buffers[n]))
		h := &r.headers[n].header
		h.Iov = &r.iovecs[n]
		h.SetIovlen(1)
	}
	return r, nil
}

// receive waits for packets, at most want of them.
func (r *batchReader) receive(want int) (int, error) {
	r.want = min(want, readBatch)
	for n := range r.headers[:r.want] {
		// The kernel has put the lengths of the last packets here.
		h := &r.headers[n].header
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&r.names[n])), unix.SizeofSockaddrInet6
		h.Control = &r.oobs[n][0]
		h.SetControllen(oobSize)
	}
	if err := r.conn.Read(r.try); err != nil {
		return 0, err
	}
	if r.errno != 0 {
		return 0, fmt.Errorf("recvmmsg: %w", r.errno)
	}
	return r.got, nil
}

// recvmmsg says whether there is a result; otherwise the poller waits.
func (r *batchReader) recvmmsg(fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd,
			uintptr(unsafe.Pointer(&r.headers[0])), uintptr(r.want), unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		r.got, r.errno = int(n), errno
		return errno != unix.EAGAIN
	}
}

// packet is the n-th packet of the last call.
func (r *batchReader) packet(n int) []byte { return r.buffers[n][:r.headers[n].length] }

// control is what the kernel said beside it.
func (r *batchReader) control(n int) []byte { return r.oobs[n][:r.headers[n].header.Controllen] }
