package gate

import (
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// netlinkTimeout bounds the wait for an answer of the kernel.
const netlinkTimeout = 2 * time.Second

// preference of our filters on a link: before all others. Filters of several
// daemons share it; their handles tell them apart.
const preference = 1

// linkState is what is known of a link.
type linkState struct {
	name    string
	master  int // index; 0: none
	guarded bool
	err     error // why it is not, though it should be
}

// errNoHeader says that the programs cannot read the frames of a link.
var errNoHeader = errors.New("frames of this link have a header that the gate cannot read")

// framingOf says what stands before the IP header on a link.
func framingOf(link netlink.Link) (framing, error) {
	switch encap := link.Attrs().EncapType; encap {
	case "ether":
		return ethernet, nil
	case "infiniband", "ieee1394", "ieee802.15.4", "6lowpan", "ax25", "netrom", "x25", "can":
		return bare, fmt.Errorf("%w: %s", errNoHeader, encap)
	default: // tunnels, tun, wireguard, ppp
		return bare, nil
	}
}

// wanted says whether a link is to be guarded. The loopback reaches nobody, and
// what a port of a bridge or bond carries belongs to its master; that of a VRF is
// its own.
func (g *Gate) wanted(link netlink.Link) (bool, error) {
	attrs := link.Attrs()
	if attrs.EncapType == "loopback" {
		return false, nil
	}
	if attrs.MasterIndex == 0 {
		return true, nil
	}
	master, err := g.route.LinkByIndex(attrs.MasterIndex)
	if err != nil {
		return false, fmt.Errorf("find the master of %s: %w", attrs.Name, err)
	}
	return master.Type() == "vrf", nil
}

// guardAll makes all links be as they should.
func (g *Gate) guardAll() error {
	links, err := g.route.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("list links: %w", err)
	}
	seen := make(map[int]bool, len(links))
	for _, link := range links {
		seen[link.Attrs().Index] = true
		g.guard(link)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for index := range g.links {
		if !seen[index] {
			delete(g.links, index)
		}
	}
	return nil
}

// guard makes one link be as it should, whatever was known of it.
func (g *Gate) guard(link netlink.Link) error {
	attrs := link.Attrs()
	was := g.known(attrs.Index)
	state := linkState{name: attrs.Name, master: attrs.MasterIndex}
	want, err := g.wanted(link)
	switch {
	case err != nil:
	case want:
		err = g.attach(link)
		state.guarded = err == nil
	case was.guarded:
		err = g.detach(attrs.Index)
	default: // a port, now or since before us: of what is there nothing is ours
	}
	if err != nil {
		state.err = fmt.Errorf("guard %s: %w", attrs.Name, err)
		if was.err == nil || was.err.Error() != state.err.Error() {
			g.opts.Log.Warn("link is not guarded", "iface", attrs.Name, "err", err)
		}
	}
	g.mu.Lock()
	g.links[attrs.Index] = state
	g.mu.Unlock()
	if was.err != nil && state.guarded {
		g.tell(attrs.Name, nil)
	}
	return state.err
}

func (g *Gate) tell(link string, err error) {
	if g.opts.Restored != nil {
		g.opts.Restored(link, err)
	}
}

func (g *Gate) known(index int) linkState {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.links[index]
}

// attach puts both filters on a link, or replaces ours that are there, each in one
// step.
func (g *Gate) attach(link netlink.Link) error {
	f, err := framingOf(link)
	if err != nil {
		return err
	}
	index := link.Attrs().Index
	err = g.route.QdiscAdd(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: index, Parent: netlink.HANDLE_CLSACT, Handle: netlink.MakeHandle(0xffff, 0),
	}})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add clsact: %w", err)
	}
	for _, d := range []direction{egress, ingress} {
		filter := g.filter(index, d)
		filter.Fd = g.programs[programIndex(d, f)].FD()
		if err := g.route.FilterReplace(filter); err != nil {
			return fmt.Errorf("add a filter of preference %d (somebody else may use it): %w", preference, err)
		}
	}
	return nil
}

// detach removes our filters from a link. The clsact stays: others may use it.
func (g *Gate) detach(index int) error {
	var errs []error
	for _, d := range []direction{ingress, egress} {
		err := g.route.FilterDel(g.filter(index, d))
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, fmt.Errorf("remove a filter: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (g *Gate) filter(index int, d direction) *netlink.BpfFilter {
	parent := uint32(netlink.HANDLE_MIN_INGRESS)
	if d == egress {
		parent = netlink.HANDLE_MIN_EGRESS
	}
	return &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: index, Parent: parent, Handle: g.handle,
			Priority: preference, Protocol: unix.ETH_P_ALL,
		},
		Fd:           -1,
		Name:         "haclusterd " + g.opts.Name,
		DirectAction: true,
	}
}

// Guards says why a link is not guarded, or nil.
func (g *Gate) Guards(ifindex int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch l, ok := g.links[ifindex]; {
	case !ok:
		return fmt.Errorf("link %d is not known to the gate", ifindex)
	case l.err != nil:
		return l.err
	case !l.guarded:
		return fmt.Errorf("%s is a port of another link, or the loopback: the gate does not stand there", l.name)
	}
	return nil
}

// Remove takes the gate off all links: for a farewell, when no address is held.
func (g *Gate) Remove() error {
	g.mu.Lock()
	var indexes []int
	for index, l := range g.links {
		if l.guarded {
			indexes = append(indexes, index)
		}
	}
	clear(g.links)
	g.mu.Unlock()
	var errs []error
	for _, index := range indexes {
		errs = append(errs, g.detach(index))
	}
	return errors.Join(errs...)
}
