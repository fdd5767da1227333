package packet

import (
	"errors"
	"net/netip"
)

// Append appends a as the bytes behind the IP header and returns the extended
// slice. The checksum is filled in, in dialect sum where there is a choice;
// src and dst are the addresses of the IP header, and their family decides
// the packet's.
func (a *Advert) Append(b []byte, src, dst netip.Addr, sum Checksum) ([]byte, error) {
	return b, errors.ErrUnsupported
}
