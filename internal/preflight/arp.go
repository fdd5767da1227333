package preflight

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"
)

// askARP asks for IPv4 addresses, with the sender address 0.0.0.0 that changes no
// cache (RFC 5227 section 2.1.1), until ctx is done.
func askARP(ctx context.Context, ifi *net.Interface, asked []netip.Addr, heard func(netip.Addr, net.HardwareAddr)) error {
	conn, err := packet.Listen(ifi, packet.Raw, unix.ETH_P_ARP, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	if d, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(d); err != nil {
			return err
		}
	}
	broadcast := &packet.Addr{HardwareAddr: net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
	go repeat(ctx, asked, func(a netip.Addr) {
		_, _ = conn.WriteTo(arpRequest(ifi.HardwareAddr, a), broadcast) // the next one may get through
	})
	buf := make([]byte, 128)
	for {
		size, _, err := conn.ReadFrom(buf)
		if err != nil {
			return nil // the window is over
		}
		if addr, mac, ok := arpReply(buf[:size]); ok {
			heard(addr, mac)
		}
	}
}

// ARP over Ethernet for IPv4 (RFC 826).
const (
	arpSize = 28
	ethSize = 14
	arpWho  = 1
	arpIs   = 2
)

func arpRequest(from net.HardwareAddr, target netip.Addr) []byte {
	b := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, from...)
	b = binary.BigEndian.AppendUint16(b, unix.ETH_P_ARP)
	b = append(b, 0, 1, 8, 0, 6, 4, 0, arpWho)
	b = append(b, from...)
	b = append(b, 0, 0, 0, 0) // the sender's address
	b = append(b, 0, 0, 0, 0, 0, 0)
	return append(b, target.AsSlice()...)
}

// arpReply reads who has which address.
func arpReply(b []byte) (netip.Addr, net.HardwareAddr, bool) {
	if len(b) < ethSize+arpSize || binary.BigEndian.Uint16(b[12:]) != unix.ETH_P_ARP {
		return netip.Addr{}, nil, false
	}
	b = b[ethSize:]
	if binary.BigEndian.Uint16(b[2:]) != unix.ETH_P_IP || b[4] != 6 || b[5] != 4 || binary.BigEndian.Uint16(b[6:]) != arpIs {
		return netip.Addr{}, nil, false
	}
	return netip.AddrFrom4([4]byte(b[14:18])), slices.Clone(net.HardwareAddr(b[8:14])), true
}
