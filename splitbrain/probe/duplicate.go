package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/splitbrain"
)

// The question about an own address: who has it answers at once, and a start waits
// for the answers. Others are asked for only where somebody did answer.
const (
	ownRounds   = 3
	otherRounds = 2
	roundTime   = 40 * time.Millisecond
)

// DuplicateWindow bounds what FindDuplicate takes beside the waits for a processor.
const DuplicateWindow = (ownRounds + otherRounds) * roundTime

// A carrier that has just come is no link before the kernel has taken note of it,
// and until then it sends nothing. It takes note once a second at most.
const (
	linkTime = 2 * time.Second
	linkPoll = 10 * time.Millisecond
)

// DuplicateError says that another machine has an address of this one.
type DuplicateError struct {
	Addr      netip.Addr
	Interface string // of this machine, on whose network the other one answers
	MAC       splitbrain.MAC
}

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("another machine, %v, answers for this machine's own address %v on %s", e.MAC, e.Addr, e.Interface)
}

// FindDuplicate asks the network of an own address, for DuplicateWindow at most,
// whether another machine has it too: *DuplicateError. The probes come from the
// unspecified address (RFC 5227 section 2.1.1, RFC 4862 section 5.4.2) and leave the
// caches alone; nobody has to let go because of them. Nil: nobody else answered, or
// there is nobody to ask, because no Ethernet interface that is up has the address
// with neighbours beside it. Other errors: it could not ask.
//
// Who answers counts only with a hardware address that no interface here has, in two
// rounds, and unless it answers for other addresses of the network alike. Machines
// that merely ask for the address, as switches do that track devices, do not count.
func FindDuplicate(own netip.Addr) error {
	own = own.Unmap().WithZone("")
	interfaces, err := net.Interfaces()
	if err != nil {
		return err
	}
	for i := range interfaces {
		ifi := &interfaces[i]
		prefix, ok := askable(ifi, own)
		if !ok {
			continue
		}
		q := newInquiry(prefix)
		if err := q.conduct(ifi); err != nil {
			return fmt.Errorf("ask for %v on %s: %w", own, ifi.Name, err)
		}
		// Read now: an interface that was made meanwhile answers for us as well.
		if interfaces, err = net.Interfaces(); err != nil {
			return err
		}
		if mac, found := q.stranger(interfaces); found {
			return &DuplicateError{Addr: own, Interface: ifi.Name, MAC: mac}
		}
		return nil
	}
	return nil
}

// AwaitLink waits, for 2 s at most, while an interface that was set up and has an own
// address has no link yet: whoever asks for a duplicate then asks nobody, and a
// machine starts its services when its links have just come.
func AwaitLink(own netip.Addr) error { return awaitLink(own, linkTime) }

func awaitLink(own netip.Addr, limit time.Duration) error {
	own = own.Unmap().WithZone("")
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(linkPoll) {
		interfaces, err := net.Interfaces()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(interfaces, func(ifi net.Interface) bool { return awaitsLink(&ifi, own) }) {
			return nil
		}
	}
	return nil
}

// awaitsLink reports whether ifi has the address, and no link although it was set up.
func awaitsLink(ifi *net.Interface, own netip.Addr) bool {
	if ifi.Flags&net.FlagUp == 0 || ifi.Flags&net.FlagRunning != 0 {
		return false
	}
	_, has := network(ifi, own)
	return has
}

// askable is the network of an own address, if that is on ifi and has neighbours.
func askable(ifi *net.Interface, own netip.Addr) (netip.Prefix, bool) {
	const running = net.FlagUp | net.FlagRunning
	if ifi.Flags&running != running || ifi.Flags&(net.FlagLoopback|net.FlagPointToPoint) != 0 || len(ifi.HardwareAddr) != 6 {
		return netip.Prefix{}, false
	}
	prefix, has := network(ifi, own)
	// With fewer host bits there is no telling who answers for all alike.
	return prefix, has && own.BitLen()-prefix.Bits() >= 2
}

// network is the prefix by which ifi has an address, if it has it.
func network(ifi *net.Interface, own netip.Addr) (netip.Prefix, bool) {
	addrs, err := ifi.Addrs()
	if err != nil {
		return netip.Prefix{}, false
	}
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err == nil && prefix.Addr().WithZone("") == own {
			return prefix, true
		}
	}
	return netip.Prefix{}, false
}

// inquiry is one question about an own address, and who answered.
type inquiry struct {
	own    netip.Addr
	others [2]netip.Addr // of the network, that no one machine has beside own
	heard  map[splitbrain.MAC]map[netip.Addr]int
}

func newInquiry(prefix netip.Prefix) *inquiry {
	return &inquiry{
		own:    prefix.Addr().WithZone(""),
		others: [2]netip.Addr{flip(prefix, 0xff), flip(prefix, 0x55)},
		heard:  make(map[splitbrain.MAC]map[netip.Addr]int),
	}
}

// flip is another address of the same network: the host bits that mask names, in
// each byte, are inverted.
func flip(prefix netip.Prefix, mask byte) netip.Addr {
	b := prefix.Addr().WithZone("").AsSlice()
	for i := range b {
		host := min(max((i+1)*8-prefix.Bits(), 0), 8)
		b[i] ^= mask & byte(1<<host-1)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// hear notes who says that he has an address.
func (q *inquiry) hear(addr netip.Addr, mac splitbrain.MAC) {
	if q.heard[mac] == nil {
		q.heard[mac] = make(map[netip.Addr]int)
	}
	q.heard[mac][addr]++
}

// stranger is a machine other than this one that has the own address.
func (q *inquiry) stranger(interfaces []net.Interface) (splitbrain.MAC, bool) {
	for mac, times := range q.heard {
		here := slices.ContainsFunc(interfaces, func(ifi net.Interface) bool { return slices.Equal(ifi.HardwareAddr, mac[:]) })
		alike := times[q.others[0]] > 0 && times[q.others[1]] > 0
		if times[q.own] >= 2 && !here && !alike {
			return mac, true
		}
	}
	return splitbrain.MAC{}, false
}

// conduct asks on an interface and listens.
func (q *inquiry) conduct(ifi *net.Interface) error {
	v6, protocol := q.own.Is6(), unix.ETH_P_ARP
	if v6 {
		protocol = unix.ETH_P_IPV6
	}
	f, err := filter(v6, map[netip.Addr]*interest{q.own: nil, q.others[0]: nil, q.others[1]: nil})
	if err != nil {
		return err
	}
	conn, err := packet.Listen(ifi, packet.Raw, protocol, &packet.Config{Filter: f})
	if err != nil {
		return err
	}
	defer conn.Close()
	for range ownRounds {
		if err := q.round(conn, ifi.HardwareAddr, q.own); err != nil {
			return err
		}
	}
	if len(q.heard) == 0 {
		return nil
	}
	for range otherRounds {
		if err := q.round(conn, ifi.HardwareAddr, q.others[:]...); err != nil {
			return err
		}
	}
	return nil
}

// round asks for each address once and hears what comes for a while.
func (q *inquiry) round(conn *packet.Conn, hw net.HardwareAddr, addrs ...netip.Addr) error {
	for _, a := range addrs {
		frame, err := anonymous(hw, a)
		if err != nil {
			return err
		}
		if _, err := conn.WriteTo(frame, &packet.Addr{HardwareAddr: net.HardwareAddr(frame[:6])}); err != nil {
			return err
		}
	}
	if err := conn.SetReadDeadline(time.Now().Add(roundTime)); err != nil {
		return err
	}
	buf := make([]byte, 2048)
	for {
		n, _, err := conn.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return err
		}
		if addr, mac, err := parse(buf[:n]); err == nil {
			q.hear(addr, mac)
		}
	}
}

// anonymous asks for an address without saying who asks.
func anonymous(hw net.HardwareAddr, target netip.Addr) ([]byte, error) {
	if target.Is4() {
		return arpRequest(hw, netip.IPv4Unspecified(), target)
	}
	return solicitation(hw, netip.IPv6Unspecified(), target)
}
