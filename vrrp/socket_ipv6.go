package vrrp

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/mmsg"
	"github.com/hacluster/hacluster/vrrp/packet"
)

// ipv6Socket lets the kernel write the header and the checksum. Source and hop
// limit go with each packet as control messages.
type ipv6Socket struct {
	spec   SocketSpec
	conn   *ipv6.PacketConn
	fd     *net.IPConn
	groups []netip.Addr

	out      *outbound // belongs to Send
	controls [writeBatch]control

	in *mmsg.Reader // belongs to Receive
}

func openIPv6(spec SocketSpec) (*ipv6Socket, error) {
	c, err := listen(spec, fmt.Sprintf("ip6:%d", packet.Number), "::", func(fd int) error {
		// Only the groups that this socket joined on its own interface.
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0); err != nil {
			return fmt.Errorf("set IPV6_MULTICAST_ALL: %w", err)
		}
		// A configured source need not be an address of this machine.
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1); err != nil {
			return fmt.Errorf("set IPV6_FREEBIND: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s := &ipv6Socket{spec: spec, fd: c, conn: ipv6.NewPacketConn(c)}
	if err := s.setup(); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("set up raw socket for VRRP on %s: %w", spec.Interface, err)
	}
	return s, nil
}

func (s *ipv6Socket) setup() (err error) {
	raw, err := s.fd.SyscallConn()
	if err != nil {
		return err
	}
	s.in, s.out = mmsg.NewReader(raw, readBatch, maxPacket), newOutbound(raw)
	c := s.conn
	if err := c.SetMulticastInterface(&net.Interface{Index: s.spec.Index}); err != nil {
		return fmt.Errorf("set multicast interface: %w", err)
	}
	if err := c.SetMulticastLoopback(false); err != nil {
		return fmt.Errorf("turn multicast loop off: %w", err)
	}
	if err := c.SetTrafficClass(internetControl << 5); err != nil {
		return fmt.Errorf("set traffic class: %w", err)
	}
	// RFC 9568 section 5.2.8; the kernel drops what arrives with a wrong one.
	if err := c.SetChecksum(true, 6); err != nil {
		return fmt.Errorf("let the kernel do the checksum: %w", err)
	}
	if err := c.SetControlMessage(ipv6.FlagHopLimit|ipv6.FlagDst, true); err != nil {
		return fmt.Errorf("ask for hop limit and destination: %w", err)
	}
	return nil
}

func (s *ipv6Socket) Subscribe(vrids VRIDSet, groups []netip.Addr) error {
	if err := changeGroups(s.conn, s.spec.Index, s.groups, groups); err != nil {
		return err
	}
	s.groups = groups
	return attach(s.fd, vridFilter(IPv6, vrids))
}

func (s *ipv6Socket) Send(batch []Datagram, failed func(index int, err error)) {
	for start := 0; start < len(batch); start += writeBatch {
		part := batch[start:min(start+writeBatch, len(batch))]
		for n := range part {
			d := &part[n]
			s.stamp(n, d.Src, d.TTL)
			s.out.set(n, d.Dst, d.Payload)
		}
		s.out.send(len(part), func(index int, err error) { failed(start+index, err) })
	}
}

// control keeps the control messages of one outgoing slot: almost always the
// next packet in it has the same source and hop limit.
type control struct {
	src netip.Addr
	ttl uint8
}

// stamp makes slot n's control messages say source and hop limit (RFC 3542
// sections 6.1 and 6.3).
func (s *ipv6Socket) stamp(n int, src netip.Addr, ttl uint8) {
	if c := (control{src, ttl}); s.controls[n] != c {
		s.controls[n] = c
		cm := ipv6.ControlMessage{HopLimit: int(ttl), Src: src.AsSlice(), IfIndex: s.spec.Index}
		oob, h := cm.Marshal(), &s.out.messages[n].Header
		h.Control = &oob[0]
		h.SetControllen(len(oob))
	}
}

func (s *ipv6Socket) Receive(batch []Packet) (int, error) {
	got, err := s.in.Receive(len(batch))
	n := 0
	for m := range got {
		p := &batch[n]
		if readControl(s.in.Control(m), p) {
			p.Src = s.in.From(m).Addr()
			p.Payload = append(p.Payload[:0], s.in.Payload(m)...)
			n++
		}
	}
	return n, err
}

// readControl fills destination and hop limit of p. It says whether both were
// there.
func readControl(b []byte, p *Packet) bool {
	var hops, dst bool
	for len(b) >= unix.SizeofCmsghdr {
		header, data, rest, err := unix.ParseOneSocketControlMessage(b)
		if err != nil {
			return false
		}
		b = rest
		if header.Level != unix.IPPROTO_IPV6 {
			continue
		}
		switch {
		case header.Type == unix.IPV6_HOPLIMIT && len(data) >= 4:
			p.TTL, hops = uint8(binary.NativeEndian.Uint32(data)), true
		case header.Type == unix.IPV6_PKTINFO && len(data) >= net.IPv6len:
			p.Dst, dst = netip.AddrFrom16([16]byte(data)), true
		}
	}
	return hops && dst
}

func (s *ipv6Socket) Close() error { return s.fd.Close() }
