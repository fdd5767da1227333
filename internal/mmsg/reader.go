package mmsg

import (
	"fmt"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ControlSize is how much there is for the control messages of one datagram:
// enough for an interface with an address, a hop limit and a length.
const ControlSize = 128

// Reader reads the datagrams of a socket.
type Reader struct {
	call
	headers  []Message
	iovecs   []unix.Iovec
	names    []unix.RawSockaddrInet6 // long enough for both families
	payloads [][]byte
	controls [][ControlSize]byte
}

// NewReader returns one that reads at most batch datagrams at once, each of at
// most size bytes; what is longer is cut.
func NewReader(conn syscall.RawConn, batch, size int) *Reader {
	r := &Reader{
		headers:  make([]Message, batch),
		iovecs:   make([]unix.Iovec, batch),
		names:    make([]unix.RawSockaddrInet6, batch),
		payloads: make([][]byte, batch),
		controls: make([][ControlSize]byte, batch),
	}
	r.init(unix.SYS_RECVMMSG, conn)
	for n := range r.headers {
		r.payloads[n] = make([]byte, size)
		r.iovecs[n].Base = &r.payloads[n][0]
		r.iovecs[n].SetLen(size)
		h := &r.headers[n].Header
		h.Iov = &r.iovecs[n]
		h.SetIovlen(1)
	}
	return r
}

// Receive waits for datagrams, and returns how many there are: from one to want,
// which is at least one. The other methods say what they are, until the next call.
func (r *Reader) Receive(want int) (int, error) {
	r.messages = r.headers[:min(want, len(r.headers))]
	for n := range r.messages {
		// The kernel has put the lengths of the last datagrams here.
		h := &r.messages[n].Header
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&r.names[n])), unix.SizeofSockaddrInet6
		h.Control = &r.controls[n][0]
		h.SetControllen(ControlSize)
	}
	if err := r.conn.Read(r.try); err != nil {
		return 0, err
	}
	if r.errno != 0 {
		return 0, fmt.Errorf("recvmmsg: %w", r.errno)
	}
	return r.done, nil
}

// Payload is the n-th datagram of the last call.
func (r *Reader) Payload(n int) []byte { return r.payloads[n][:r.headers[n].Length] }

// Control is what the kernel said beside it.
func (r *Reader) Control(n int) []byte { return r.controls[n][:r.headers[n].Header.Controllen] }

// From is who sent it; an IPv4 address in the IPv6 form is returned as IPv4.
func (r *Reader) From(n int) netip.AddrPort { return addrPort(&r.names[n]) }
