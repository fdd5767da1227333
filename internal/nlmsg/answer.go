package nlmsg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/sys/unix"
)

// Message is what the kernel sent.
type Message struct {
	Type, Flags uint16
	Seq         uint32
	Data        []byte // behind the header
}

// Messages yields the well-formed messages of a datagram, up to the first that
// is not.
func Messages(b []byte) iter.Seq[Message] {
	return func(yield func(Message) bool) {
		for len(b) >= unix.NLMSG_HDRLEN {
			size := int(binary.NativeEndian.Uint32(b))
			if size < unix.NLMSG_HDRLEN || size > len(b) {
				return
			}
			m := Message{
				Type:  binary.NativeEndian.Uint16(b[4:]),
				Flags: binary.NativeEndian.Uint16(b[6:]),
				Seq:   binary.NativeEndian.Uint32(b[8:]),
				Data:  b[unix.NLMSG_HDRLEN:size],
			}
			if !yield(m) {
				return
			}
			b = b[min(align4(size), len(b)):]
		}
	}
}

// Err is the error in a message of type NLMSG_ERROR: an Errno, with the kernel's
// own words where it has any; nil for an acknowledgement.
func (m Message) Err() error {
	if len(m.Data) < 4 {
		return errors.New("short netlink error message")
	}
	code := int32(binary.NativeEndian.Uint32(m.Data))
	if code == 0 {
		return nil
	}
	errno := unix.Errno(-code)
	// struct nlmsgerr: the code, the header of the request, attributes.
	if m.Flags&unix.NLM_F_ACK_TLVS != 0 && len(m.Data) > 4+unix.NLMSG_HDRLEN {
		for typ, v := range Attributes(m.Data[4+unix.NLMSG_HDRLEN:]) {
			if typ == unix.NLMSGERR_ATTR_MSG && len(v) > 1 {
				return fmt.Errorf("%w (%s)", errno, v[:len(v)-1])
			}
		}
	}
	return errno
}

// Attributes yields the well-formed attributes by type, up to the first that is
// not.
func Attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			size := int(binary.NativeEndian.Uint16(b))
			if size < unix.SizeofRtAttr || size > len(b) {
				return
			}
			typ := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
			if !yield(typ, b[unix.SizeofRtAttr:size]) {
				return
			}
			b = b[min(align4(size), len(b)):]
		}
	}
}

// Uint reads a number in the machine's byte order, of 1, 2, 4 or 8 bytes. Others
// are zero.
func Uint(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.NativeEndian.Uint16(b))
	case 4:
		return uint64(binary.NativeEndian.Uint32(b))
	case 8:
		return binary.NativeEndian.Uint64(b)
	default:
		return 0
	}
}

// Port reads two bytes in network byte order. Others are zero.
func Port(b []byte) uint16 {
	if len(b) != 2 {
		return 0
	}
	return binary.BigEndian.Uint16(b)
}

// String reads bytes up to the first zero byte.
func String(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

func align4(n int) int { return (n + 3) &^ 3 }
