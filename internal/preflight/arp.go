package preflight

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"
)

// maxAsked is how many virtual addresses of a network are asked for.
const maxAsked = 128

// askARP asks who has the virtual addresses of a network, with the sender address
// 0.0.0.0 that changes no cache (RFC 5227 section 2.1.1).
func askARP(ctx context.Context, n Network, c *collector) error {
	ifi, err := net.InterfaceByName(n.Interface)
	if err != nil || len(ifi.HardwareAddr) != 6 {
		return err // on other media there is no ARP
	}
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
	vips := n.VIPs[:min(len(n.VIPs), maxAsked)]
	broadcast := &packet.Addr{HardwareAddr: net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
	go func() { // ends with the window
		for range sendTimes {
			for _, vip := range vips {
				_, _ = conn.WriteTo(arpRequest(ifi.HardwareAddr, vip), broadcast) // the next one may get through
			}
			select {
			case <-time.After(sendEvery):
			case <-ctx.Done():
				return
			}
		}
	}()
	buf := make([]byte, 128)
	for {
		size, _, err := conn.ReadFrom(buf)
		if err != nil {
			return nil // the window is over
		}
		addr, mac, ok := arpReply(buf[:size])
		if !ok || !slices.Contains(vips, addr) {
			continue
		}
		answer := Responder{n.Interface, addr, mac.String()}
		c.add(func(r *Report) {
			if !slices.Contains(r.Responders, answer) {
				r.Responders = append(r.Responders, answer)
			}
		})
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
