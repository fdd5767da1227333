package realserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
)

// Machine is what this machine is a real server of. Close ends the use of it.
type Machine struct {
	dir     string
	lock    *os.File
	journal journal
	told    []string
}

// lockWait bounds the wait for another process that uses the same directory.
const lockWait = 10 * time.Second

// Open reads what was done before from the journal in dir, which is made when it is
// missing. Only root can.
func Open(dir string) (*Machine, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := lock(dir, lockWait)
	if err != nil {
		return nil, err
	}
	m := &Machine{dir: dir, lock: f}
	if err := m.load(); err != nil {
		f.Close()
		return nil, err
	}
	return m, nil
}

// Close lets other processes in.
func (m *Machine) Close() error { return m.lock.Close() }

// Told is what was changed, one line each, in order; empty: nothing had to be.
func (m *Machine) Told() []string { return m.told }

func (m *Machine) tell(format string, args ...any) {
	m.told = append(m.told, fmt.Sprintf(format, args...))
}

// Addresses are those that shall be there.
func (m *Machine) Addresses() []netip.Addr {
	var all []netip.Addr
	for _, a := range m.journal.Addresses {
		all = append(all, a.Addr)
	}
	return all
}

// find is the place of an address in the journal; -1: it is not in it.
func (m *Machine) find(addr netip.Addr) int {
	return slices.IndexFunc(m.journal.Addresses, func(a address) bool { return a.Addr == addr })
}

// Up brings an address up on a device. What is right already is left alone; one that
// is up on another device is refused.
func (m *Machine) Up(ctx context.Context, addr netip.Addr, on string) error {
	if i := m.find(addr); i >= 0 {
		if was := m.journal.Addresses[i].Device; was != on {
			return fmt.Errorf("%v is up on %s; to have it on %s, take it down first: haclusterctl realserver down %v", addr, was, on, addr)
		}
		return m.ensure(ctx, i)
	}
	if _, err := device(ctx, on); err != nil {
		return err // and nothing is to be remembered
	}
	m.journal.Addresses = append(m.journal.Addresses, address{Addr: addr, Device: on})
	if err := m.ensure(ctx, len(m.journal.Addresses)-1); err != nil {
		return errors.Join(err, m.Down(addr))
	}
	return nil
}

// Restore does again all that was done, as after a boot. What cannot be done does
// not keep the rest from being tried.
func (m *Machine) Restore(ctx context.Context) error {
	var errs []error
	for i := range m.journal.Addresses {
		errs = append(errs, m.ensure(ctx, i))
	}
	return errors.Join(errs...)
}

// ensure makes what the journal says of one address. The settings come first, so
// that no neighbour ever learns the address, and each change is noted before it is
// made.
func (m *Machine) ensure(ctx context.Context, i int) error {
	a := &m.journal.Addresses[i]
	link, err := device(ctx, a.Device)
	if err != nil {
		return err
	}
	there, err := has(link, a.Addr)
	if err != nil {
		return err
	}
	if !a.Done {
		a.Done, a.Found = true, there
		if there {
			m.tell("%v was on %s before and will stay there", a.Addr, a.Device)
		}
	}
	if err := m.settle(needs(*a, isTunnel(link))); err != nil {
		return err
	}
	if link.Attrs().Flags&net.FlagUp == 0 {
		if !slices.Contains(m.journal.Links, a.Device) {
			m.journal.Links = append(m.journal.Links, a.Device)
		}
		if err := m.save(); err != nil {
			return err
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("set %s up: %w", a.Device, err)
		}
		m.tell("%s: up", a.Device)
	}
	if err := m.save(); err != nil || there {
		return err
	}
	if err := addAddress(link, a.Addr); err != nil {
		return err
	}
	m.tell("%v: added to %s", a.Addr, a.Device)
	return nil
}

// settle writes the settings that are not right, and remembers what they were.
func (m *Machine) settle(list []need) error {
	for _, n := range list {
		ok, err := n.ok()
		if err != nil {
			return err
		}
		if ok {
			continue
		}
		former, err := readSetting(n.name)
		if err != nil {
			return err
		}
		// Of one that somebody changed since, the former value stays the first one.
		if !slices.ContainsFunc(m.journal.Settings, func(s Setting) bool { return s.Name == n.name }) {
			m.journal.Settings = append(m.journal.Settings, Setting{Name: n.name, Former: former, Value: n.value})
		}
		if err := m.save(); err != nil {
			return err
		}
		if err := writeSetting(n.name, n.value); err != nil {
			return err
		}
		m.tell("%s: %s, was %s", dotted(n.name), n.value, former)
	}
	return nil
}

// Down takes an address down, and with the last that needs them the settings back to
// what they were. Of one that is not up there is nothing to do.
func (m *Machine) Down(addr netip.Addr) error {
	i := m.find(addr)
	if i < 0 {
		return errors.Join(m.release(), m.save()) // what could not be taken back before
	}
	switch a := m.journal.Addresses[i]; {
	case a.Found:
		m.tell("%v: stays on %s, where it was before", addr, a.Device)
	case a.Done:
		was, err := removeAddress(a.Device, addr)
		if err != nil {
			return err
		}
		if was {
			m.tell("%v: removed from %s", addr, a.Device)
		}
	}
	m.journal.Addresses = slices.Delete(m.journal.Addresses, i, i+1)
	return errors.Join(m.release(), m.save())
}

// release takes back what no address needs any more.
func (m *Machine) release() error {
	needed, devices := make(map[string]bool), make(map[string]bool)
	for _, a := range m.journal.Addresses {
		devices[a.Device] = true
		for _, n := range needs(a, true) {
			needed[n.name] = true
		}
	}
	var errs []error
	m.journal.Settings = slices.DeleteFunc(m.journal.Settings, func(s Setting) bool {
		if needed[s.Name] {
			return false
		}
		told, err := s.restore()
		if err != nil {
			errs = append(errs, err)
			return false
		}
		m.tell("%s", told)
		return true
	})
	m.journal.Links = slices.DeleteFunc(m.journal.Links, func(name string) bool {
		if devices[name] {
			return false
		}
		told, err := setDown(name)
		errs = append(errs, err)
		if told {
			m.tell("%s: down, as before", name)
		}
		return err == nil
	})
	return errors.Join(errs...)
}

// setDown sets a link down again, unless others use it by now; lo has too many users.
func setDown(name string) (bool, error) {
	link, err := netlink.LinkByName(name)
	if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	used, err := addressesOf(link)
	if err != nil || link.Attrs().Flags&net.FlagLoopback != 0 || slices.ContainsFunc(used, func(a netip.Addr) bool { return !a.IsLinkLocalUnicast() }) {
		return false, err
	}
	return true, netlink.LinkSetDown(link)
}
