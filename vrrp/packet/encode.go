package packet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Sizes and offsets of RFC 3768 section 5.1 and RFC 9568 section 5.1.
const (
	headerLen  = 8
	authLen    = 8 // behind the addresses, version 2 over IPv4 only
	typeAdvert = 1

	checksumOffset = 6

	// MaxAddrs is how many addresses one advertisement can count. The MTU
	// usually ends the list earlier.
	MaxAddrs = 255
)

const (
	centisecond   = 10 * time.Millisecond
	maxIntervalV2 = 255 * time.Second
	maxIntervalV3 = 4095 * centisecond
)

// Len is the length of a behind the IP header of a packet of the given family.
func (a *Advert) Len(ipv6 bool) int { return wireLen(a.Version, len(a.Addrs), ipv6) }

func wireLen(version uint8, addrs int, ipv6 bool) int {
	if ipv6 {
		// Version 2 over IPv6 is in no RFC; keepalived sends it without the
		// authentication bytes.
		return headerLen + 16*addrs
	}
	n := headerLen + 4*addrs
	if version == 2 {
		n += authLen
	}
	return n
}

// Append appends a as the bytes behind the IP header and returns the extended
// slice. The checksum is filled in, in dialect sum where there is a choice;
// src and dst are the addresses of the IP header, and their family decides
// the packet's. When a cannot be said on the wire, b is returned unchanged
// with an error that names the field.
func (a *Advert) Append(b []byte, src, dst netip.Addr, sum Checksum) ([]byte, error) {
	src, dst = src.Unmap(), dst.Unmap()
	ipv6 := src.Is6()
	if err := a.check(src, dst, sum); err != nil {
		return b, err
	}

	start := len(b)
	b = append(b, a.Version<<4|typeAdvert, a.VRID, a.Priority, uint8(len(a.Addrs)))
	if a.Version == 2 {
		b = append(b, uint8(a.Auth), uint8(a.Interval/time.Second))
	} else {
		b = binary.BigEndian.AppendUint16(b, uint16(a.Interval/centisecond))
	}
	b = append(b, 0, 0) // checksum
	for _, addr := range a.Addrs {
		if ipv6 {
			raw := addr.As16()
			b = append(b, raw[:]...)
		} else {
			raw := addr.As4()
			b = append(b, raw[:]...)
		}
	}
	if a.Version == 2 && !ipv6 {
		b = append(b, a.AuthData[:]...)
	}

	msg := b[start:]
	binary.BigEndian.PutUint16(msg[checksumOffset:], checksum(msg, src, dst, sum))
	return b, nil
}

// check refuses what the wire format cannot say.
func (a *Advert) check(src, dst netip.Addr, sum Checksum) error {
	unit, most := centisecond, maxIntervalV3
	switch a.Version {
	case 2:
		unit, most = time.Second, maxIntervalV2
	case 3:
		if a.Auth != AuthNone || a.AuthData != [8]byte{} {
			return fmt.Errorf("vrrp advert: version 3 has no authentication; use version 2 or none")
		}
	default:
		return fmt.Errorf("vrrp advert: version %d is unknown; use 2 or 3", a.Version)
	}
	switch {
	case !src.IsValid() || !dst.IsValid() || src.Is4() != dst.Is4():
		return fmt.Errorf("vrrp advert: source %v and destination %v must be addresses of one family", src, dst)
	case a.VRID == 0:
		return fmt.Errorf("vrrp advert: virtual router id 0 is out of range; use 1 to 255")
	case a.Interval < unit || a.Interval > most || a.Interval%unit != 0:
		return fmt.Errorf("vrrp advert: interval %v cannot be sent in version %d; use %v to %v in steps of %v",
			a.Interval, a.Version, unit, most, unit)
	case len(a.Addrs) > MaxAddrs:
		return fmt.Errorf("vrrp advert: %d addresses are too many; use at most %d", len(a.Addrs), MaxAddrs)
	case sum > ChecksumGroup:
		return fmt.Errorf("vrrp advert: checksum dialect %d is unknown", sum)
	case src.Is6() && (a.Auth != AuthNone || a.AuthData != [8]byte{}):
		return fmt.Errorf("vrrp advert: there is no authentication over IPv6")
	}
	for _, addr := range a.Addrs {
		if !addr.IsValid() || addr.Is4() != src.Is4() {
			return fmt.Errorf("vrrp advert: virtual address %v and source %v must be of one family", addr, src)
		}
		if addr.Zone() != "" {
			return fmt.Errorf("vrrp advert: virtual address %v has a zone, which the wire cannot carry", addr)
		}
	}
	return nil
}
