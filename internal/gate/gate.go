package gate

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ErrUnsupported says that this machine cannot have a gate: the kernel is too old,
// or gives this process no right to load programs. The caller does without.
var ErrUnsupported = errors.New("no kernel gate on this machine")

// Options are the settings of a Gate.
type Options struct {
	// Name tells the gates of several daemons on one machine apart; a later life
	// of the same daemon has the same one. Required.
	Name string

	// Log is required.
	Log *slog.Logger

	// Unwatched says that Run is not called: another process follows the links.
	Unwatched bool

	// Restored is told when somebody removed the gate from a link and it was put
	// back, or could not be (err), and then again without an error when it could.
	// Called by Run. May be nil.
	Restored func(link string, err error)
}

// Gate is the programs, what they share with this process, and the links on which
// they stand. All methods may be called by any goroutine.
type Gate struct {
	opts   Options
	handle uint32 // of our filters: what tells them from those of others

	programs  [programCount]*ebpf.Program
	slots     *ebpf.Map
	addresses *ebpf.Map
	adverts   *ebpf.Map
	dropped   *ebpf.Map
	memory    []byte // of slots

	route *netlink.Handle
	news  *os.File // what happens to links and filters

	mu    sync.Mutex
	taken [slots]bool       // guarded by mu
	links map[int]linkState // by index; guarded by mu
}

// Names of the tables, in the kernel and for the programs.
const (
	mapSlots     = "gate_slots"
	mapAddresses = "gate_addrs"
	mapAdverts   = "gate_adverts"
	mapDropped   = "gate_dropped"
)

// programCount is two directions times two framings.
const programCount = 4

func programIndex(d direction, f framing) int { return 2*b2i(bool(d)) + b2i(bool(f)) }

// tables is what the kernel keeps. Addresses and adverts take memory only for
// what is in them.
func tables() map[string]*ebpf.MapSpec {
	return map[string]*ebpf.MapSpec{
		mapSlots: {
			Name: mapSlots, Type: ebpf.Array, Flags: unix.BPF_F_MMAPABLE,
			KeySize: 4, ValueSize: slotBytes, MaxEntries: slots,
		},
		mapAddresses: {
			Name: mapAddresses, Type: ebpf.Hash, Flags: unix.BPF_F_NO_PREALLOC,
			KeySize: 16, ValueSize: 4, MaxEntries: 1 << 16,
		},
		mapAdverts: {
			Name: mapAdverts, Type: ebpf.Hash, Flags: unix.BPF_F_NO_PREALLOC,
			KeySize: routerBytes, ValueSize: 4, MaxEntries: 1 << 16,
		},
		mapDropped: {
			Name: mapDropped, Type: ebpf.PerCPUArray,
			KeySize: 4, ValueSize: 8, MaxEntries: 2,
		},
	}
}

// New loads the programs and puts them on every link of the network namespace of
// the calling thread. Filters that an earlier life left are replaced, each in one
// step; what they guarded is no longer guarded then, so that life's addresses must
// be gone. It fails with ErrUnsupported when the kernel refuses; when only some
// links could not be guarded it succeeds, and Guards tells which.
func New(opts Options) (*Gate, error) {
	spec := &ebpf.CollectionSpec{Maps: tables(), Programs: make(map[string]*ebpf.ProgramSpec)}
	for _, d := range []direction{ingress, egress} {
		for _, f := range []framing{bare, ethernet} {
			p := program(d, f)
			spec.Programs[p.Name] = p
		}
	}
	loaded, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("%w: load the programs (this needs Linux 5.10, CAP_BPF and CAP_NET_ADMIN): %w", ErrUnsupported, err)
	}
	defer loaded.Close() // of what is detached below, nothing
	g := &Gate{
		slots:     loaded.DetachMap(mapSlots),
		addresses: loaded.DetachMap(mapAddresses),
		adverts:   loaded.DetachMap(mapAdverts),
		dropped:   loaded.DetachMap(mapDropped),
	}
	for _, d := range []direction{ingress, egress} {
		for _, f := range []framing{bare, ethernet} {
			g.programs[programIndex(d, f)] = loaded.DetachProgram(programName(d, f))
		}
	}
	return g.start(opts)
}

// start does what New and FromFiles have in common. It closes g when it fails.
func (g *Gate) start(opts Options) (*Gate, error) {
	g.opts = opts
	hash := fnv.New32a()
	hash.Write([]byte(opts.Name))
	g.handle = max(hash.Sum32(), 1) // 0 would let the kernel choose one
	g.links = make(map[int]linkState)

	var err error
	g.memory, err = unix.Mmap(g.slots.FD(), 0, slots*slotBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: map the slots into memory: %w", ErrUnsupported, err), g.Close())
	}
	if !opts.Unwatched {
		if g.news, err = subscribe(); err != nil {
			return nil, errors.Join(fmt.Errorf("gate: listen to links and filters: %w", err), g.Close())
		}
	}
	if g.route, err = netlink.NewHandle(unix.NETLINK_ROUTE); err == nil {
		err = g.route.SetSocketTimeout(netlinkTimeout)
	}
	if err == nil {
		err = g.guardAll()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("gate: %w", err), g.Close())
	}
	return g, nil
}

// Files duplicates everything that FromFiles needs in another process, in its
// order. The caller closes them.
func (g *Gate) Files() ([]*os.File, error) {
	var files []*os.File
	add := func(fd int, name string) error {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("duplicate %s of the gate: %w", name, err)
		}
		files = append(files, os.NewFile(uintptr(dup), name))
		return nil
	}
	var err error
	for _, m := range g.maps() {
		err = errors.Join(err, add(m.FD(), "a table"))
	}
	for _, p := range g.programs {
		err = errors.Join(err, add(p.FD(), "a program"))
	}
	if err != nil {
		for _, f := range files {
			f.Close()
		}
		return nil, err
	}
	return files, nil
}

// FileCount is how many files Files returns.
const FileCount = 4 + programCount

// FromFiles is the gate of another process, whose Files these are; they are closed.
// Slots are as that process left them, and all of them free: adopt those that are
// to go on, or Reset.
func FromFiles(files []*os.File, opts Options) (*Gate, error) {
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	if len(files) != FileCount {
		return nil, fmt.Errorf("gate: %d files were handed over, want %d", len(files), FileCount)
	}
	g := new(Gate)
	var err error
	for n, m := range []**ebpf.Map{&g.slots, &g.addresses, &g.adverts, &g.dropped} {
		var fd int
		if fd, err = takeFD(files[n]); err == nil {
			*m, err = ebpf.NewMapFromFD(fd)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("gate: take over table %d: %w", n, err), g.Close())
		}
	}
	for n := range g.programs {
		var fd int
		if fd, err = takeFD(files[FileCount-programCount+n]); err == nil {
			g.programs[n], err = ebpf.NewProgramFromFD(fd)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("gate: take over program %d: %w", n, err), g.Close())
		}
	}
	return g.start(opts)
}

// takeFD duplicates a file's descriptor for an owner that will close it.
func takeFD(f *os.File) (fd int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	if cerr := raw.Control(func(from uintptr) { fd, err = unix.FcntlInt(from, unix.F_DUPFD_CLOEXEC, 0) }); cerr != nil {
		return -1, cerr
	}
	return fd, err
}

func (g *Gate) maps() []*ebpf.Map {
	return []*ebpf.Map{g.slots, g.addresses, g.adverts, g.dropped}
}

// Close lets go of the gate, which stays in the kernel: what is open closes at its
// deadline.
func (g *Gate) Close() error {
	var errs []error
	if g.memory != nil {
		errs = append(errs, unix.Munmap(g.memory))
		g.memory = nil
	}
	if g.news != nil {
		errs = append(errs, g.news.Close())
	}
	if g.route != nil {
		g.route.Close()
	}
	for _, m := range g.maps() {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	for _, p := range g.programs {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	return errors.Join(errs...)
}

// Stats counts what the gate dropped, since it was made.
type Stats struct{ In, Out uint64 }

// Stats reads the counters.
func (g *Gate) Stats() (Stats, error) {
	var sums [2]uint64
	for d := range sums {
		var perCPU []uint64
		if err := g.dropped.Lookup(uint32(d), &perCPU); err != nil {
			return Stats{}, fmt.Errorf("read the counters of the gate: %w", err)
		}
		for _, n := range perCPU {
			sums[d] += n
		}
	}
	return Stats{In: sums[b2i(bool(ingress))], Out: sums[b2i(bool(egress))]}, nil
}

// Run follows the links, guards new ones and puts back what somebody removed,
// until ctx is done. It is called once, and never of one that is Unwatched.
func (g *Gate) Run(ctx context.Context) error {
	return g.watch(ctx)
}
