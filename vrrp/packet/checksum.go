package packet

import (
	"encoding/binary"
	"net/netip"
)

// group is the IPv4 multicast group of VRRP (RFC 9568 section 5.1.1.2), which
// ChecksumGroup puts in place of a unicast destination.
var group = netip.AddrFrom4([4]byte{224, 0, 0, 18})

// checksum is the value for the checksum field of msg, whatever stands there.
func checksum(msg []byte, src, dst netip.Addr, dialect Checksum) uint16 {
	sum := sumBytes(0, msg[:checksumOffset])
	sum = sumBytes(sum, msg[checksumOffset+2:])

	switch {
	case src.Is6():
		// RFC 9568 section 5.2.8: IPv6 always has the pseudo-header.
		sum = sumPseudo(sum, src, dst, len(msg))
	case msg[0]>>4 == 2 || dialect == ChecksumPlain:
		// RFC 3768 section 5.3.8: the VRRP message alone.
	case dialect == ChecksumGroup:
		sum = sumPseudo(sum, src, group, len(msg))
	default:
		sum = sumPseudo(sum, src, dst, len(msg))
	}
	return ^fold(sum)
}

// sumBytes adds b in 16-bit words (RFC 1071). A 64-bit sum of a message of a
// few kilobytes cannot overflow.
func sumBytes(sum uint64, b []byte) uint64 {
	for len(b) >= 2 {
		sum += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	return sum
}

func sumPseudo(sum uint64, src, dst netip.Addr, length int) uint64 {
	if src.Is6() {
		s, d := src.As16(), dst.As16()
		sum = sumBytes(sumBytes(sum, s[:]), d[:])
	} else {
		s, d := src.As4(), dst.As4()
		sum = sumBytes(sumBytes(sum, s[:]), d[:])
	}
	return sum + Number + uint64(length)
}

func fold(sum uint64) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// detect says in which dialect the checksum of msg is right. Both zeros of
// one's complement are the same checksum (RFC 1624).
func detect(msg []byte, src, dst netip.Addr) (Checksum, bool) {
	got := binary.BigEndian.Uint16(msg[checksumOffset:])
	right := func(dialect Checksum) bool {
		want := checksum(msg, src, dst, dialect)
		return got == want || (got == 0 && want == 0xffff) || (got == 0xffff && want == 0)
	}
	if right(ChecksumPseudo) {
		return ChecksumPseudo, true
	}
	if msg[0]>>4 == 2 || src.Is6() {
		return 0, false
	}
	if right(ChecksumPlain) {
		return ChecksumPlain, true
	}
	if !dst.IsMulticast() && right(ChecksumGroup) {
		return ChecksumGroup, true
	}
	return 0, false
}
