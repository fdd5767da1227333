package netif

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/journal"
	"github.com/hacluster/hacluster/internal/nlmsg"
)

// ErrLapsed says that addresses were not renewed within their lease, so the kernel
// may have removed them and another machine may hold them.
var ErrLapsed = errors.New("lease lapsed")

// Options are the settings of Addresses.
type Options struct {
	// RunDir holds the journal; it should be memory-backed (/run/haclusterd).
	RunDir string
	// Logger reports what does not stop a take-over. Required.
	Logger *slog.Logger
	// Foreign is told once, in the call that found it, of a virtual address
	// that was there already and is not ours; it is left as it is. May be nil.
	Foreign func(Address)
}

// Addresses owns the virtual and static addresses and routes of this machine.
// One goroutine uses it: there is no lock. Each call is bounded in time, and
// each is idempotent.
type Addresses struct {
	log     *slog.Logger
	foreign func(Address)
	conn    rtnl
	routes  *netlink.Handle
	index   *indexer
	journal *journal.Journal[journalEntry]

	guarded    map[netip.Addr]string // see Guard
	held       map[addrKey]*holding
	heldRoutes map[Route]string // by owner

	// renewal is the request of one pass and renewed whom each part of it
	// is for; both are built anew when stale.
	renewal requests
	renewed []*holding
	except  []string // owners that it leaves out
	stale   bool
}

// addrKey is what makes two addresses the same one to the kernel.
type addrKey struct {
	iface  string
	prefix netip.Prefix
	peer   netip.Prefix
}

func keyOf(a Address) addrKey { return addrKey{a.Interface, a.Prefix, a.Peer} }

// holding is one claimed address.
type holding struct {
	addr    Address
	owner   string
	index   int
	foreign bool          // was there before; never renewed or removed
	lease   time.Duration // valid lifetime that each renewal gives
	at      time.Duration // of the last renewal, on CLOCK_BOOTTIME
}

// NewAddresses opens the netlink sockets and reads the journal. A journal that
// cannot be used is logged, not returned.
func NewAddresses(o Options) (*Addresses, error) {
	conn, err := dialRtnl()
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	routes, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	index, err := newIndexer()
	if err == nil {
		err = routes.SetSocketTimeout(rtnlTimeout)
	}
	if err != nil {
		routes.Close()
		conn.Close()
		return nil, err
	}
	j, err := journal.Open(filepath.Join(o.RunDir, journalName), parseJournalEntry)
	if err != nil {
		o.Logger.Warn("address journal not readable", "err", err)
	}
	a := &Addresses{
		log:        o.Logger,
		foreign:    o.Foreign,
		conn:       conn,
		routes:     routes,
		index:      index,
		journal:    j,
		held:       map[addrKey]*holding{},
		heldRoutes: map[Route]string{},
	}
	if a.foreign == nil {
		a.foreign = func(Address) {}
	}
	return a, nil
}

// Close closes the sockets. It removes nothing.
func (a *Addresses) Close() error {
	a.routes.Close()
	return errors.Join(a.conn.Close(), a.index.close())
}

// present returns those that the kernel has.
func (a *Addresses) present(want []*holding) ([]*holding, error) {
	byIndex := map[int][]ifAddr{}
	var left []*holding
	for _, h := range want {
		kernel, ok := byIndex[h.index]
		if !ok {
			var err error
			if kernel, err = a.list(h.index); err != nil {
				return nil, err
			}
			byIndex[h.index] = kernel
		}
		_, guarded := a.guarded[h.addr.Prefix.Addr()]
		for _, k := range kernel {
			switch {
			case k.index != h.index:
			case k.prefix == h.addr.Prefix:
				left = append(left, h)
			case guarded && k.prefix.Addr() == h.addr.Prefix.Addr():
				// With another mask it answers just the same.
				other := *h
				other.addr.Prefix, other.addr.Peer = k.prefix, k.peer
				left = append(left, &other)
			}
		}
	}
	return left, nil
}

// list dumps the addresses of an interface, or of all when index is 0. An
// interface that does not exist has none.
func (a *Addresses) list(index int) ([]ifAddr, error) {
	var r requests
	r.dumpAddrs(index)
	var out []ifAddr
	err := a.conn.dump(&r, func() { out = out[:0] }, func(m nlmsg.Message) {
		if ia, ok := parseIfAddr(m.Data); ok && (index == 0 || ia.index == index) {
			out = append(out, ia)
		}
	})
	if errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	return out, err
}
