package packet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// ethernetPayload is the least that an Ethernet frame carries, IP header
// included; shorter packets are padded, and some senders count the padding.
const (
	ethernetPayload = 46
	ipv4HeaderLen   = 20
)

// Parse decodes the bytes behind the IP header of a packet from src to dst,
// and says in which dialect its checksum is right: ChecksumPseudo where the
// version and family leave no choice. A refused packet gives a *RejectError.
// The result does not share memory with b.
func Parse(b []byte, src, dst netip.Addr) (Advert, Checksum, error) {
	src, dst = src.Unmap(), dst.Unmap()
	if !src.IsValid() || !dst.IsValid() || src.Is4() != dst.Is4() {
		return Advert{}, 0, fmt.Errorf("vrrp packet: source %v and destination %v must be addresses of one family", src, dst)
	}
	ipv6 := src.Is6()

	if len(b) < headerLen {
		return Advert{}, 0, reject(ReasonLength, "%d bytes are shorter than the header's %d", len(b), headerLen)
	}
	version, kind, count := b[0]>>4, b[0]&0xf, int(b[3])
	if version != 2 && version != 3 {
		return Advert{}, 0, reject(ReasonVersion, "version %d is neither 2 nor 3", version)
	}
	want := wireLen(version, count, ipv6)
	if len(b) != want && !padded(len(b), want, ipv6) {
		return Advert{}, 0, reject(ReasonLength, "%d bytes instead of %d for version %d with %d addresses",
			len(b), want, version, count)
	}
	b = b[:want]

	// RFC 9568 section 5.2.2: a packet with unknown type must be discarded.
	if kind != typeAdvert {
		return Advert{}, 0, reject(ReasonType, "type %d is not an advertisement (1)", kind)
	}
	dialect, ok := detect(b, src, dst)
	if !ok {
		return Advert{}, 0, reject(ReasonChecksum, "checksum %#04x is wrong; %#04x would be right",
			binary.BigEndian.Uint16(b[checksumOffset:]), checksum(b, src, dst, ChecksumPseudo))
	}

	a := Advert{Version: version, VRID: b[1], Priority: b[2]}
	if version == 2 {
		a.Auth = Auth(b[4])
		a.Interval = time.Duration(b[5]) * time.Second
	} else {
		// RFC 9568 section 5.2.6: the four bits before are ignored.
		a.Interval = time.Duration(binary.BigEndian.Uint16(b[4:])&0xfff) * centisecond
	}
	switch {
	case a.VRID == 0:
		return Advert{}, 0, reject(ReasonVRID, "virtual router id 0 is out of range")
	case a.Interval == 0:
		// A backup that adopted it would never wait for this master again.
		return Advert{}, 0, reject(ReasonInterval, "advertisement interval is 0")
	case version == 2 && ipv6 && a.Auth != AuthNone:
		return Advert{}, 0, reject(ReasonAuth, "authentication type %d over IPv6, which has none", a.Auth)
	}

	b = b[headerLen:]
	if count > 0 {
		a.Addrs = make([]netip.Addr, count)
	}
	for i := range a.Addrs {
		if ipv6 {
			a.Addrs[i], b = netip.AddrFrom16([16]byte(b)), b[16:]
		} else {
			a.Addrs[i], b = netip.AddrFrom4([4]byte(b)), b[4:]
		}
	}
	copy(a.AuthData[:], b) // what is left: the authentication data, or nothing
	return a, dialect, nil
}

// padded reports whether a message of got bytes may be one of want bytes with
// Ethernet padding that its sender counted in the IP length.
func padded(got, want int, ipv6 bool) bool {
	return !ipv6 && got > want && got+ipv4HeaderLen <= ethernetPayload && (got-want)%4 == 0
}

func reject(reason Reason, format string, args ...any) error {
	return &RejectError{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}
