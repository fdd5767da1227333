package vrrp

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/hacluster/hacluster/vrrp/packet"
)

// Reasons for which a packet is refused, beside those of package packet.
const (
	reasonTTL         packet.Reason = "ttl"         // may have passed a router
	reasonAuthData    packet.Reason = "password"    // right type, other password
	reasonDestination packet.Reason = "destination" // unicast for a multicast instance, or the reverse
	reasonSource      packet.Reason = "source"      // not a unicast peer
	reasonOwn         packet.Reason = "own_address" // our own source address
)

// A verdict is what the receiver finds about one packet.
type verdict struct {
	advert packet.Advert // as far as it could be read
	reason packet.Reason // empty: accepted
	detail string        // for people

	// differs says that the advert names other addresses than this node's
	// configuration does. It is accepted nevertheless (RFC 9568 section 7.1).
	differs bool
	// dialect is the one in which the sender's checksum is right.
	dialect packet.Checksum
}

// receiver judges the packets that one instance hears: RFC 9568 section 7.1
// and RFC 3768 section 7.1, in keepalived's order. It is pure.
type receiver struct {
	spec   *InstanceSpec
	source netip.Addr // from which the instance itself sends

	// A master repeats itself each interval, so the last packet of each sender
	// is worth remembering: equal bytes have an equal verdict.
	last struct {
		src, dst netip.Addr
		ttl      uint8
		payload  []byte
		verdict  verdict
	}
}

// reset forgets what was remembered. It is due after a change of spec or
// source.
func (r *receiver) reset(spec *InstanceSpec, source netip.Addr) {
	*r = receiver{spec: spec, source: source}
}

// judge says whether p is an advert for the instance, and whether it is the
// very packet that was judged before.
func (r *receiver) judge(p *Packet) (v *verdict, repeated bool) {
	last := &r.last
	if last.payload != nil && last.src == p.Src && last.dst == p.Dst && last.ttl == p.TTL &&
		bytes.Equal(last.payload, p.Payload) {
		return &last.verdict, true
	}
	last.src, last.dst, last.ttl = p.Src, p.Dst, p.TTL
	last.payload = append(last.payload[:0], p.Payload...)
	last.verdict = r.check(p)
	return &last.verdict, false
}

// check makes all checks in order; the first one that fails decides.
func (r *receiver) check(p *Packet) (v verdict) {
	refuse := func(reason packet.Reason, format string, args ...any) verdict {
		v.reason, v.detail = reason, fmt.Sprintf(format, args...)
		return v
	}
	spec := r.spec

	var err error
	if v.advert, v.dialect, err = packet.Parse(p.Payload, p.Src, p.Dst); err != nil {
		if rejected, ok := errors.AsType[*packet.RejectError](err); ok {
			return refuse(rejected.Reason, "%s", rejected.Detail)
		}
		return refuse(packet.ReasonLength, "%v", err)
	}
	advert := &v.advert

	peer := r.peer(p.Src)
	switch {
	// RFC 9568 section 5.1.1.3: a router receiving a packet with a TTL not
	// equal to 255 must discard it. Unicast peers may be routed.
	case p.Dst.IsMulticast() && p.TTL != 255:
		return refuse(reasonTTL, "TTL %d is not 255", p.TTL)
	case !p.Dst.IsMulticast() && peer != nil && p.TTL < peer.minTTL():
		return refuse(reasonTTL, "TTL %d is below the least allowed, %d", p.TTL, peer.minTTL())
	case !p.Dst.IsMulticast() && peer != nil && peer.MaxTTL != 0 && int(p.TTL) > peer.MaxTTL:
		return refuse(reasonTTL, "TTL %d is above the most allowed, %d", p.TTL, peer.MaxTTL)

	case int(advert.Version) != spec.Version:
		return refuse(packet.ReasonVersion, "version %d, configured is %d", advert.Version, spec.Version)

	case spec.Version == 2 && advert.Auth != spec.Wire.Auth:
		return refuse(packet.ReasonAuth, "authentication type %d, configured is %d", advert.Auth, spec.Wire.Auth)
	case spec.Version == 2 && spec.Wire.Auth == packet.AuthPass && advert.AuthData != spec.Wire.AuthData:
		return refuse(reasonAuthData, "the password differs from the configured one")

	// RFC 3768 section 7.1: the interval must match the locally configured one.
	case spec.Version == 2 && advert.Interval != spec.AdvertInterval:
		return refuse(packet.ReasonInterval, "advertisement interval %v, configured is %v", advert.Interval, spec.AdvertInterval)

	case !r.takes(v.dialect, p.Dst):
		return refuse(packet.ReasonChecksum, "checksum with the multicast group in its pseudo-header is not accepted here")
	case !r.addressed(p.Dst):
		return refuse(reasonDestination, "sent to %v, expected is %s", p.Dst, r.destination())
	case spec.Wire.Unicast && spec.Wire.CheckSource && peer == nil:
		return refuse(reasonSource, "%v is not a unicast peer", p.Src)
	case p.Src == r.source:
		return refuse(reasonOwn, "sent from this node's own address %v", p.Src)
	}
	v.differs = !spec.Wire.SkipCheckAddrs && !r.sameAddrs(advert.Addrs)
	return v
}

// peer is the unicast peer with an address, or nil.
func (r *receiver) peer(addr netip.Addr) *Peer {
	if !r.spec.Wire.Unicast {
		return nil
	}
	for i := range r.spec.Wire.Peers {
		if r.spec.Wire.Peers[i].Addr == addr {
			return &r.spec.Wire.Peers[i]
		}
	}
	return nil
}

func (p *Peer) minTTL() uint8 { return uint8(min(max(p.MinTTL, 0), 255)) }

// takes says whether a checksum dialect is accepted. Only old unicast senders
// use the third one, and only for them may it be right.
func (r *receiver) takes(dialect packet.Checksum, dst netip.Addr) bool {
	if r.spec.Version != 3 || r.spec.Family != IPv4 || dialect != packet.ChecksumGroup {
		return true
	}
	return !dst.IsMulticast() && (!r.spec.Wire.NoChecksumDetect || r.spec.Wire.Checksum == packet.ChecksumGroup)
}

// addressed says whether an instance that is spoken to at dst is this one.
func (r *receiver) addressed(dst netip.Addr) bool {
	if r.spec.Wire.Unicast {
		return !dst.IsMulticast()
	}
	return dst == r.spec.group()
}

func (r *receiver) destination() string {
	if r.spec.Wire.Unicast {
		return "unicast"
	}
	return r.spec.group().String()
}

// sameAddrs compares the advertised addresses with the configured ones. Their
// order means nothing.
func (r *receiver) sameAddrs(addrs []netip.Addr) bool {
	if len(addrs) != len(r.spec.Addresses) {
		return false
	}
	for _, a := range r.spec.Addresses {
		if !slices.Contains(addrs, a.Prefix.Addr().WithZone("")) {
			return false
		}
	}
	return true
}

// group is where a multicast instance sends to and listens.
func (s *InstanceSpec) group() netip.Addr {
	switch {
	case s.Wire.Group.IsValid():
		return s.Wire.Group
	case s.Family == IPv6:
		return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x12})
	default:
		return netip.AddrFrom4([4]byte{224, 0, 0, 18})
	}
}
