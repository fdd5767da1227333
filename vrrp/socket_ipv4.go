package vrrp

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/mmsg"
	"github.com/hacluster/hacluster/vrrp/packet"
)

const ipv4Header = 20

// ipv4Socket writes its own IP headers: so one socket sends from any source
// and with any TTL, and the headers look like keepalived's, with a counted
// identification and DF clear.
type ipv4Socket struct {
	spec   SocketSpec
	conn   *ipv4.RawConn
	fd     *net.IPConn
	groups []netip.Addr
	id     uint16

	out     *outbound // belongs to Send
	headers [writeBatch][ipv4Header]byte

	in *mmsg.Reader // belongs to Receive
}

func openIPv4(spec SocketSpec) (*ipv4Socket, error) {
	c, err := listen(spec, fmt.Sprintf("ip4:%d", packet.Number), "0.0.0.0", func(fd int) error {
		// Only the groups that this socket joined on its own interface.
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0); err != nil {
			return fmt.Errorf("set IP_MULTICAST_ALL: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s := &ipv4Socket{spec: spec, fd: c}
	if err := s.setup(); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("set up raw socket for VRRP on %s: %w", spec.Interface, err)
	}
	return s, nil
}

func (s *ipv4Socket) setup() (err error) {
	if s.conn, err = ipv4.NewRawConn(s.fd); err != nil {
		return err
	}
	raw, err := s.fd.SyscallConn()
	if err != nil {
		return err
	}
	s.in, s.out = mmsg.NewReader(raw, readBatch, maxPacket), newOutbound(raw)
	if err := s.conn.SetMulticastInterface(&net.Interface{Index: s.spec.Index}); err != nil {
		return fmt.Errorf("set multicast interface: %w", err)
	}
	if err := s.conn.SetMulticastLoopback(false); err != nil {
		return fmt.Errorf("turn multicast loop off: %w", err)
	}
	return nil
}

func (s *ipv4Socket) Subscribe(vrids VRIDSet, groups []netip.Addr) error {
	if err := changeGroups(s.conn, s.spec.Index, s.groups, groups); err != nil {
		return err
	}
	s.groups = groups
	return attach(s.fd, vridFilter(IPv4, vrids))
}

func (s *ipv4Socket) Send(batch []Datagram, failed func(index int, err error)) {
	for start := 0; start < len(batch); start += writeBatch {
		part := batch[start:min(start+writeBatch, len(batch))]
		for n := range part {
			s.prepare(n, &part[n])
		}
		s.out.send(len(part), func(index int, err error) { failed(start+index, err) })
	}
}

// prepare fills in the header of RFC 791. The kernel adds length and checksum.
func (s *ipv4Socket) prepare(n int, d *Datagram) {
	s.id++
	if s.id == 0 {
		s.id++ // zero would let the kernel choose
	}
	src, dst := d.Src.As4(), d.Dst.As4()
	h := s.headers[n][:]
	h[0] = 4<<4 | ipv4Header/4
	h[1] = internetControl << 5
	binary.BigEndian.PutUint16(h[2:], uint16(ipv4Header+len(d.Payload)))
	binary.BigEndian.PutUint16(h[4:], s.id)
	h[8] = d.TTL
	h[9] = packet.Number
	copy(h[12:], src[:])
	copy(h[16:], dst[:])

	s.out.set(n, d.Dst, h, d.Payload)
}

func (s *ipv4Socket) Receive(batch []Packet) (int, error) {
	got, err := s.in.Receive(len(batch))
	n := 0
	for m := range got {
		if splitIPv4(s.in.Payload(m), &batch[n]) {
			n++
		}
	}
	return n, err
}

// splitIPv4 fills p from a packet with its IP header. It says whether there is
// a whole header.
func splitIPv4(b []byte, p *Packet) bool {
	if len(b) < ipv4Header || b[0]>>4 != 4 {
		return false
	}
	header := int(b[0]&0xf) * 4
	if header < ipv4Header || len(b) < header {
		return false
	}
	p.TTL = b[8]
	p.Src = netip.AddrFrom4([4]byte(b[12:16]))
	p.Dst = netip.AddrFrom4([4]byte(b[16:20]))
	p.Payload = append(p.Payload[:0], b[header:]...)
	return true
}

func (s *ipv4Socket) Close() error { return s.fd.Close() }
