package gate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
)

// Router is one virtual router, by what its adverts show when they leave.
type Router struct {
	Ifindex int
	Family  uint8 // 4 or 6
	VRID    uint8
}

// Guarded is what a slot opens and closes. A link-local IPv6 address has the number
// of its link for a zone, in decimal.
type Guarded struct {
	Addresses []netip.Addr
	Routers   []Router
}

// OnLink is an address on a link as Guarded wants it.
func OnLink(addr netip.Addr, ifindex int) netip.Addr {
	addr = addr.Unmap()
	if !addr.Is6() || !addr.IsLinkLocalUnicast() {
		return addr.WithZone("")
	}
	return addr.WithZone(strconv.Itoa(ifindex))
}

// keyLink is where the key of a link-local address has its link.
const keyLink = 4

// addressKey is the key of an address: IPv4 as mapped into IPv6.
func addressKey(a netip.Addr) [16]byte {
	key := a.As16()
	if link, err := strconv.ParseUint(a.Zone(), 10, 32); err == nil {
		binary.NativeEndian.PutUint32(key[keyLink:], uint32(link))
	}
	return key
}

func addressOf(key [16]byte) netip.Addr {
	if a := netip.AddrFrom16(key).Unmap(); !a.IsLinkLocalUnicast() || a.Is4() {
		return a
	}
	link := binary.NativeEndian.Uint32(key[keyLink:])
	clear(key[keyLink : keyLink+4])
	return OnLink(netip.AddrFrom16(key), int(link))
}

// State of a slot.
type State uint8

// States of a slot.
const (
	Absent State = iota // nothing is dropped: it is not in use, or its entry has ended
	Open
	Closed
)

func (s State) String() string { return [...]string{"absent", "open", "closed"}[s] }

// What the kernel and this process share of one slot: two readings of
// CLOCK_BOOTTIME in nanoseconds.
const (
	slotDeadline = 0
	slotUntil    = 8
	slotBytes    = 16
)

// slots is how many there are: one for each unit, 255 routers of two families on
// eight interfaces.
const slots = 4096

// ErrFull says that all slots are in use.
var ErrFull = fmt.Errorf("all %d slots of the gate are in use", slots)

// cell is the memory of a slot.
type cell struct{ deadline, until *atomic.Int64 }

func (g *Gate) cell(index int) cell {
	at := unsafe.Pointer(&g.memory[index*slotBytes])
	return cell{
		deadline: (*atomic.Int64)(at),
		until:    (*atomic.Int64)(unsafe.Add(at, slotUntil)),
	}
}

func (c cell) state(now time.Duration) State {
	switch until := time.Duration(c.until.Load()); {
	case now < time.Duration(c.deadline.Load()):
		return Open
	case now < until:
		return Closed
	default:
		return Absent
	}
}

// Slot lets the packets of one unit pass until a time. One goroutine uses it;
// State may be called by any.
type Slot struct {
	gate  *Gate
	index int
	cell  cell

	// What was entered: read back from the kernel when the slot was adopted.
	addresses map[netip.Addr]bool
	routers   map[Router]bool
}

// NewSlot takes a slot that nobody uses. It is absent until it is opened.
func (g *Gate) NewSlot() (*Slot, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for index := range slots {
		if !g.taken[index] {
			g.taken[index] = true
			s := g.slot(index)
			s.cell.deadline.Store(0)
			s.cell.until.Store(0)
			return s, nil
		}
	}
	return nil, ErrFull
}

// AdoptSlot takes the slot that an earlier process of this gate used, with
// deadline and entries as they are.
func (g *Gate) AdoptSlot(index int) (*Slot, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if index < 0 || index >= slots {
		return nil, fmt.Errorf("adopt slot %d of the gate: out of range; use 0 to %d", index, slots-1)
	}
	if g.taken[index] {
		return nil, fmt.Errorf("adopt slot %d of the gate: in use", index)
	}
	s := g.slot(index)
	if err := g.entries(func(i int, addr netip.Addr) {
		if i == index {
			s.addresses[addr] = true
		}
	}, func(i int, r Router) {
		if i == index {
			s.routers[r] = true
		}
	}); err != nil {
		return nil, fmt.Errorf("adopt slot %d of the gate: %w", index, err)
	}
	g.taken[index] = true
	return s, nil
}

func (g *Gate) slot(index int) *Slot {
	return &Slot{gate: g, index: index, cell: g.cell(index),
		addresses: make(map[netip.Addr]bool), routers: make(map[Router]bool)}
}

// Index is the slot's number, by which another process can adopt it.
func (s *Slot) Index() int { return s.index }

// Guard makes the slot open and close exactly what is given. What it did not guard
// before is guarded before anything else is let go. An address that another slot
// guards passes to this one.
func (s *Slot) Guard(what Guarded) error {
	addresses, routers := make(map[netip.Addr]bool), make(map[Router]bool)
	index := uint32(s.index)
	for _, a := range what.Addresses {
		if a = a.Unmap(); a.Is6() && a.IsLinkLocalUnicast() && a.Zone() == "" {
			return fmt.Errorf("guard %v: a link-local address needs its link", a)
		}
		addresses[a] = true
	}
	for _, r := range what.Routers {
		routers[r] = true
	}
	var errs []error
	for a := range addresses {
		if s.addresses[a] {
			continue
		}
		if err := s.gate.addresses.Put(addressKey(a), index); err != nil {
			errs = append(errs, fmt.Errorf("guard %v: %w", a, err))
			continue
		}
		s.addresses[a] = true
	}
	for r := range routers {
		if s.routers[r] {
			continue
		}
		if err := s.gate.adverts.Put(r.key(), index); err != nil {
			errs = append(errs, fmt.Errorf("guard adverts of VRID %d: %w", r.VRID, err))
			continue
		}
		s.routers[r] = true
	}
	for a := range s.addresses {
		if !addresses[a] {
			errs = append(errs, s.remove(s.gate.addresses, addressKey(a)))
			delete(s.addresses, a)
		}
	}
	for r := range s.routers {
		if !routers[r] {
			errs = append(errs, s.remove(s.gate.adverts, r.key()))
			delete(s.routers, r)
		}
	}
	return errors.Join(errs...)
}

// remove deletes a key that still names this slot.
func (s *Slot) remove(m *ebpf.Map, key any) error {
	var index uint32
	err := m.Lookup(key, &index)
	if err == nil && int(index) == s.index {
		err = m.Delete(key)
	}
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("remove an entry of the gate: %w", err)
	}
	return nil
}

// Open lets everything that the slot guards pass until deadline, and drops it from
// then until the end of the entry: both are readings of Now's clock. A deadline
// that has passed opens nothing. To renew is the same call with a later deadline.
func (s *Slot) Open(deadline, until time.Duration) {
	// The later one first: the entry never ends between the two.
	s.cell.until.Store(int64(until))
	s.cell.deadline.Store(int64(deadline))
}

// Close drops everything that the slot guards, from now until the end of its entry.
// A slot that was never opened stays absent.
func (s *Slot) Close() { s.cell.deadline.Store(0) }

// Deadline is the one in force, as the kernel sees it.
func (s *Slot) Deadline() time.Duration { return time.Duration(s.cell.deadline.Load()) }

// State is what the slot does now.
func (s *Slot) State() State { return s.cell.state(Now()) }

// Free ends the entry, removes what the slot guarded and gives the slot back: for
// when the addresses are known to be gone. The slot must not be used afterwards.
func (s *Slot) Free() error {
	s.Close()
	err := s.Guard(Guarded{})
	s.cell.until.Store(0)
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	s.gate.taken[s.index] = false
	return err
}

// CloseAll closes every slot, whosoever opened it, and reads back that they are
// closed: for the parent of a process that is known to be dead.
func (g *Gate) CloseAll() error {
	for index := range slots {
		g.cell(index).deadline.Store(0)
	}
	now := Now()
	for index := range slots {
		if g.cell(index).state(now) == Open {
			return fmt.Errorf("close slot %d of the gate: it is open again: somebody still uses it", index)
		}
	}
	return nil
}

// CloseSlots closes slots by their numbers, whosoever opened them, and reads back
// that they are closed. The process that uses them must be known to be dead, or it
// may open them again.
func (g *Gate) CloseSlots(indexes []uint32) error {
	for _, index := range indexes {
		if index >= slots {
			return fmt.Errorf("close slot %d of the gate: out of range; use 0 to %d", index, slots-1)
		}
		g.cell(int(index)).deadline.Store(0)
	}
	for _, index := range indexes {
		if state := g.cell(int(index)).state(Now()); state == Open {
			return fmt.Errorf("close slot %d of the gate: it is open again: somebody still uses it", index)
		}
	}
	return nil
}

// Reset closes every slot and forgets what all of them guarded: for when all their
// addresses are known to be gone, and no process uses them.
func (g *Gate) Reset() error {
	if err := g.CloseAll(); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var addresses []netip.Addr
	var routers []Router
	err := g.entries(
		func(_ int, a netip.Addr) { addresses = append(addresses, a) },
		func(_ int, r Router) { routers = append(routers, r) },
	)
	for _, a := range addresses {
		err = errors.Join(err, ignoreGone(g.addresses.Delete(addressKey(a))))
	}
	for _, r := range routers {
		err = errors.Join(err, ignoreGone(g.adverts.Delete(r.key())))
	}
	for index := range slots {
		g.cell(index).until.Store(0)
		g.taken[index] = false
	}
	return err
}

func ignoreGone(err error) error {
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}

// Listed is one slot in use, for a dump.
type Listed struct {
	Index    int
	State    State
	Deadline time.Duration // reading of Now's clock
	Guarded
}

// Slots reads back what is entered in the kernel, in the order of the slots.
func (g *Gate) Slots() ([]Listed, error) {
	byIndex := make(map[int]*Listed)
	now := Now()
	at := func(index int) *Listed {
		l := byIndex[index]
		if l == nil {
			c := g.cell(index)
			l = &Listed{Index: index, State: c.state(now), Deadline: time.Duration(c.deadline.Load())}
			byIndex[index] = l
		}
		return l
	}
	err := g.entries(
		func(i int, a netip.Addr) { l := at(i); l.Addresses = append(l.Addresses, a) },
		func(i int, r Router) { l := at(i); l.Routers = append(l.Routers, r) },
	)
	if err != nil {
		return nil, fmt.Errorf("list the slots of the gate: %w", err)
	}
	var list []Listed
	for _, index := range slices.Sorted(maps.Keys(byIndex)) {
		l := byIndex[index]
		slices.SortFunc(l.Addresses, netip.Addr.Compare)
		list = append(list, *l)
	}
	return list, nil
}

// entries reads both tables.
func (g *Gate) entries(address func(int, netip.Addr), router func(int, Router)) error {
	var (
		index uint32
		addr  [16]byte
		key   [routerBytes]byte
	)
	it := g.addresses.Iterate()
	for it.Next(&addr, &index) {
		if int(index) < slots {
			address(int(index), addressOf(addr))
		}
	}
	if err := it.Err(); err != nil {
		return err
	}
	it = g.adverts.Iterate()
	for it.Next(&key, &index) {
		if int(index) < slots {
			router(int(index), routerOf(key))
		}
	}
	return it.Err()
}

// routerBytes is the size of the key of a router: what program.advert builds.
const routerBytes = 8

func (r Router) key() (key [routerBytes]byte) {
	binary.NativeEndian.PutUint32(key[:], uint32(r.Ifindex))
	key[4], key[5] = r.Family, r.VRID
	return key
}

func routerOf(key [routerBytes]byte) Router {
	return Router{Ifindex: int(binary.NativeEndian.Uint32(key[:])), Family: key[4], VRID: key[5]}
}
