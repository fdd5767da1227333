package realserver

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

// Status is how one address stands.
type Status struct {
	Addr   netip.Addr
	Device string // on which it shall be; empty: it shall not be
	// WasThere is whether it was there before: it will stay.
	WasThere bool
	// Problems are what is not as it must be.
	Problems []string
}

// Settings are those that were changed and will be given back.
func (m *Machine) Settings() []Setting { return slices.Clone(m.journal.Settings) }

// Status looks how an address stands. It changes nothing.
func (m *Machine) Status(addr netip.Addr) (Status, error) {
	i := m.find(addr)
	if i < 0 {
		return Status{Addr: addr}, nil
	}
	a := m.journal.Addresses[i]
	s := Status{Addr: addr, Device: a.Device, WasThere: a.Found}
	link, err := netlink.LinkByName(a.Device)
	if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing {
		s.Problems = append(s.Problems, "there is no device "+a.Device)
		return s, nil
	}
	if err != nil {
		return s, err
	}
	there, err := has(link, addr)
	if err != nil {
		return s, err
	}
	if !there {
		s.Problems = append(s.Problems, "it is not on "+a.Device)
	}
	if link.Attrs().Flags&net.FlagUp == 0 {
		s.Problems = append(s.Problems, a.Device+" is down")
	}
	for _, n := range needs(a, isTunnel(link)) {
		ok, err := n.ok()
		if err != nil {
			return s, err
		}
		if !ok {
			s.Problems = append(s.Problems, dotted(n.name)+" is not "+n.value)
		}
	}
	return s, nil
}

// Directs reports whether this machine is a director of a service at an address:
// whether the table of its kernel's load balancer has one.
func Directs(addr netip.Addr) (bool, error) {
	f, err := os.Open("/proc/thread-self/net/ip_vs")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	found, err := serves(f, addr)
	if err != nil {
		return false, fmt.Errorf("read the table of services: %w", err)
	}
	return found, nil
}

// serves reports whether a table in the form of /proc/net/ip_vs has a service at an
// address: "TCP  C0000264:0050 wlc" or "TCP  [2001:0db8:…:0064]:0050 wlc".
func serves(table io.Reader, addr netip.Addr) (bool, error) {
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || !slices.Contains([]string{"TCP", "UDP", "SCTP"}, fields[0]) {
			continue
		}
		at, _, _ := strings.Cut(fields[1], ":")
		if host, v6 := strings.CutPrefix(fields[1], "["); v6 {
			at, _, _ = strings.Cut(host, "]")
			if a, err := netip.ParseAddr(at); err == nil && a == addr {
				return true, nil
			}
			continue
		}
		if b, err := hex.DecodeString(at); err == nil {
			if a, ok := netip.AddrFromSlice(b); ok && a == addr {
				return true, nil
			}
		}
	}
	return false, lines.Err()
}
