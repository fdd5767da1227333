package supervisor

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// executor undoes what a will names. All that it needs is open from the start.
type executor struct {
	handle *netlink.Handle
	ioctl  int // any socket, to find interfaces by name
	udp    [2]int
}

const (
	// kernelTimeout bounds the wait for one answer of the kernel.
	kernelTimeout = 2 * time.Second
	// removeAttempts is how often an address that a dump still shows is removed.
	removeAttempts = 3
	// longestLease is above every lifetime that the worker gives an address: twice
	// the longest Advert_Int, and some seconds. One that lives longer was there
	// before: it is not ours, and is left as it is.
	longestLease = 9 * time.Minute
)

func newExecutor() (*executor, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	if err := handle.SetSocketTimeout(kernelTimeout); err != nil {
		handle.Close()
		return nil, fmt.Errorf("limit the netlink socket: %w", err)
	}
	x := &executor{handle: handle}
	if x.ioctl, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		handle.Close()
		return nil, fmt.Errorf("open socket: %w", err)
	}
	x.openUDP()
	return x, nil
}

func (x *executor) close() {
	x.handle.Close()
	unix.Close(x.ioctl)
	x.closeUDP()
}

// remove removes the addresses until a dump shows none of them. Its success is
// the proof that they do not answer any more.
func (x *executor) remove(addrs []Address) error {
	var refused []error
	for attempt := 0; ; attempt++ {
		left, err := x.present(addrs)
		if err != nil {
			return fmt.Errorf("make sure that addresses are gone: %w", err)
		}
		if len(left) == 0 {
			return nil
		}
		if attempt == removeAttempts {
			for _, a := range left {
				refused = append(refused, fmt.Errorf("remove %v: still there", a.IPNet))
			}
			return errors.Join(refused...)
		}
		refused = refused[:0]
		for i := range left {
			if err := x.handle.AddrDel(nil, &left[i]); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
				refused = append(refused, fmt.Errorf("remove %v: %w", left[i].IPNet, err))
			}
		}
	}
}

// dumpAttempts bounds the repeats of a dump that changes interrupt.
const dumpAttempts = 10

// present returns those that the kernel has. One on an interface that does not
// exist is gone.
func (x *executor) present(addrs []Address) ([]netlink.Addr, error) {
	if len(addrs) == 0 {
		return nil, nil
	}
	wanted := make(map[place]bool, len(addrs))
	for _, a := range addrs {
		index, err := x.index(a.Interface)
		if err != nil {
			return nil, err
		}
		wanted[place{index, a.Prefix.Addr()}] = true
	}
	kernel, err := x.handle.AddrList(nil, netlink.FAMILY_ALL)
	for n := 1; n < dumpAttempts && errors.Is(err, netlink.ErrDumpInterrupted); n++ {
		kernel, err = x.handle.AddrList(nil, netlink.FAMILY_ALL)
	}
	if err != nil {
		return nil, err
	}
	var left []netlink.Addr
	for _, k := range kernel {
		addr, ok := netip.AddrFromSlice(k.IP)
		if ok && wanted[place{k.LinkIndex, addr}] && time.Duration(k.ValidLft)*time.Second <= longestLease {
			k.Label = "" // the kernel finds it without
			left = append(left, k)
		}
	}
	return left, nil
}

// place is an address where it answers.
type place struct {
	index int
	addr  netip.Addr
}

// index finds an interface by name; 0: there is none.
func (x *executor) index(name string) (int, error) {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return 0, nil // too long to be one
	}
	err = unix.IoctlIfreq(x.ioctl, unix.SIOCGIFINDEX, req)
	if errors.Is(err, unix.ENODEV) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("find interface %s: %w", name, err)
	}
	return int(req.Uint32()), nil
}
