package nlmsg

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Requests is a sequence of requests. The zero value is empty. Each request is
// between Begin and End.
type Requests struct {
	buf    []byte
	starts []int
	nests  []int
}

// Reset forgets all requests but keeps the memory.
func (r *Requests) Reset() { r.buf, r.starts, r.nests = r.buf[:0], r.starts[:0], r.nests[:0] }

// Len is the number of requests, Size that of their bytes.
func (r *Requests) Len() int { return len(r.starts) }

// Size is the number of bytes of all requests.
func (r *Requests) Size() int { return len(r.buf) }

// Begin starts a request; NLM_F_REQUEST is set anyway.
func (r *Requests) Begin(typ, flags uint16) {
	r.starts = append(r.starts, len(r.buf))
	r.buf = append(r.buf, make([]byte, unix.NLMSG_HDRLEN)...)
	h := r.last()
	binary.NativeEndian.PutUint16(h[4:], typ)
	binary.NativeEndian.PutUint16(h[6:], flags|unix.NLM_F_REQUEST)
}

// End completes the request.
func (r *Requests) End() {
	h := r.last()
	binary.NativeEndian.PutUint32(h, uint32(len(h)))
}

// AddFlags sets flags of the request that was begun last.
func (r *Requests) AddFlags(flags uint16) {
	h := r.last()
	binary.NativeEndian.PutUint16(h[6:], binary.NativeEndian.Uint16(h[6:])|flags)
}

func (r *Requests) last() []byte { return r.buf[r.starts[len(r.starts)-1]:] }

// Raw appends a fixed header behind the message's own; its length must be a
// multiple of four.
func (r *Requests) Raw(b ...byte) { r.buf = append(r.buf, b...) }

// Attr appends an attribute.
func (r *Requests) Attr(typ uint16, data ...byte) {
	r.head(typ, len(data))
	r.buf = append(r.buf, data...)
	r.pad()
}

// Uint8 appends an attribute of one byte.
func (r *Requests) Uint8(typ uint16, v uint8) { r.Attr(typ, v) }

// Uint16 appends an attribute in the machine's byte order.
func (r *Requests) Uint16(typ, v uint16) {
	r.head(typ, 2)
	r.buf = binary.NativeEndian.AppendUint16(r.buf, v)
	r.pad()
}

// Uint32 appends an attribute in the machine's byte order.
func (r *Requests) Uint32(typ uint16, v uint32) {
	r.head(typ, 4)
	r.buf = binary.NativeEndian.AppendUint32(r.buf, v)
}

// Port appends an attribute of two bytes in network byte order.
func (r *Requests) Port(typ, v uint16) {
	r.head(typ, 2)
	r.buf = binary.BigEndian.AppendUint16(r.buf, v)
	r.pad()
}

// String appends an attribute that ends with a zero byte.
func (r *Requests) String(typ uint16, s string) {
	r.head(typ, len(s)+1)
	r.buf = append(append(r.buf, s...), 0)
	r.pad()
}

// Nest starts an attribute of attributes, which Unnest ends.
func (r *Requests) Nest(typ uint16) {
	r.nests = append(r.nests, len(r.buf))
	r.head(typ|unix.NLA_F_NESTED, 0)
}

// Unnest ends the attribute that Nest started last.
func (r *Requests) Unnest() {
	at := r.nests[len(r.nests)-1]
	r.nests = r.nests[:len(r.nests)-1]
	binary.NativeEndian.PutUint16(r.buf[at:], uint16(len(r.buf)-at))
}

func (r *Requests) head(typ uint16, size int) {
	r.buf = binary.NativeEndian.AppendUint16(r.buf, uint16(unix.SizeofRtAttr+size))
	r.buf = binary.NativeEndian.AppendUint16(r.buf, typ)
}

func (r *Requests) pad() {
	for len(r.buf)%unix.NLMSG_ALIGNTO != 0 {
		r.buf = append(r.buf, 0)
	}
}

// Bytes numbers the requests, the first with first, and returns them.
func (r *Requests) Bytes(first uint32) []byte {
	for i, at := range r.starts {
		binary.NativeEndian.PutUint32(r.buf[at+8:], first+uint32(i))
	}
	return r.buf
}
