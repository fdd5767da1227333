package ipvs

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hacluster/hacluster/lvs"
)

// connectionsFile is the kernel's table of connections as text. Netlink does not
// have it.
const connectionsFile = "/proc/thread-self/net/ip_vs_conn"

// Connections calls each with every entry of the kernel's table of connections, in
// no order, until it returns false. The table may have a million; of those that come
// and go meanwhile some are missed. A kernel that has not loaded IPVS has none.
func Connections(ctx context.Context, each func(lvs.Connection) bool) error {
	f, err := os.Open(connectionsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := readConnections(ctx, f, each); err != nil {
		return fmt.Errorf("read %s: %w", connectionsFile, err)
	}
	return nil
}

// lookEvery is how many lines are read between two looks whether it is enough.
const lookEvery = 4096

func readConnections(ctx context.Context, r io.Reader, each func(lvs.Connection) bool) error {
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		if n%lookEvery == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if c, ok := parseConnection(lines.Text()); ok && !each(c) {
			return nil
		}
	}
	return lines.Err()
}

// parseConnection reads one line: protocol, three addresses with their ports, state,
// seconds, and perhaps the data of a persistence engine. The head is none.
func parseConnection(line string) (c lvs.Connection, ok bool) {
	f := strings.Fields(line)
	if len(f) < 9 {
		return c, false
	}
	switch f[0] {
	case "TCP":
		c.Protocol = lvs.TCP
	case "UDP":
		c.Protocol = lvs.UDP
	case "SCTP":
		c.Protocol = lvs.SCTP
	case "IP": // remembered of a firewall mark
	default:
		return c, false
	}
	for i, at := range []*netip.AddrPort{&c.Client, &c.Virtual, &c.Server} {
		if *at, ok = parsePlace(f[1+2*i], f[2+2*i]); !ok {
			return c, false
		}
	}
	seconds, err := strconv.ParseUint(f[8], 10, 32)
	c.State, c.Expires = f[7], time.Duration(seconds)*time.Second
	return c, err == nil
}

// parsePlace reads an address, IPv4 as eight hexadecimal digits, and a port as four.
func parsePlace(host, port string) (netip.AddrPort, bool) {
	p, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	if strings.Contains(host, ":") {
		a, err := netip.ParseAddr(host)
		return netip.AddrPortFrom(a, uint16(p)), err == nil && a.Is6() && a.Zone() == ""
	}
	b, err := hex.DecodeString(host)
	if err != nil || len(b) != 4 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), uint16(p)), true
}
