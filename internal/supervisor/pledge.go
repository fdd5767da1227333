package supervisor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Pledge is what a worker owes to others beyond its own life: until when it has
// promised something to anybody. It is memory that the supervisor holds and all its
// workers share, so keeping it costs no message, waits for nobody, and is done when
// Keep returns, whatever becomes of the worker and whether or not the supervisor runs.
// It ends with the supervisor, and is not handed on when that executes another
// program: the next worker has another Pledge then, which knows nothing.
//
// One worker writes at a time: the next one reads it when the one before is reaped.
// The methods of a nil Pledge know and keep nothing.
type Pledge struct{ words *pledgeWords }

type pledgeWords struct {
	id    uint64        // written before any worker has it
	to    atomic.Uint64 // whom it was promised to
	until atomic.Int64  // 0: not known
}

// pledgeSize is a page: what is mapped anyway.
const pledgeSize = 4096

// newPledge makes the memory. It is written once, so that there is room for it
// whenever a worker needs it.
func newPledge() (*os.File, error) {
	fd, err := unix.MemfdCreate("haclusterd pledge", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "pledge")
	page := make([]byte, pledgeSize)
	binary.NativeEndian.PutUint64(page, rand.Uint64()|1) // never 0
	if _, err := f.Write(page); err != nil {
		return nil, errors.Join(fmt.Errorf("make room for the pledge: %w", err), f.Close())
	}
	return f, nil
}

// mapPledge maps it into this process for good.
func mapPledge(fd int) (*Pledge, error) {
	mem, err := unix.Mmap(fd, 0, pledgeSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return &Pledge{(*pledgeWords)(unsafe.Pointer(unsafe.SliceData(mem)))}, nil
}

// inheritPledge takes it up in a worker; nil: the supervisor has none.
func inheritPledge() (*Pledge, error) {
	text := os.Getenv(pledgeEnv)
	os.Unsetenv(pledgeEnv)
	if text == "" {
		return nil, nil
	}
	fd, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("%s=%q in the environment is no number: it is set by haclusterd for itself only", pledgeEnv, text)
	}
	defer unix.Close(fd)
	p, err := mapPledge(fd)
	if err != nil {
		return nil, fmt.Errorf("map the pledge of the worker before: %w", err)
	}
	return p, nil
}

// ID is a number that no other Pledge has, on any machine: it says of a worker which
// others left to it what they owed. 0: nil.
func (p *Pledge) ID() uint64 {
	if p == nil {
		return 0
	}
	return p.words.id
}

// Until is the latest instant that the workers of this supervisor have kept since
// Begin for the same receiver; ok is false when there is none.
func (p *Pledge) Until(to uint64) (until int64, ok bool) {
	if p == nil || p.words.to.Load() != to {
		return 0, false
	}
	until = p.words.until.Load()
	return until, until != 0
}

// Forget forgets what was kept: nothing is known until the next Keep.
func (p *Pledge) Forget() {
	if p != nil {
		p.words.until.Store(0)
	}
}

// Begin forgets what was kept, and names whom to owe what is kept from now on.
func (p *Pledge) Begin(to uint64) {
	p.Forget()
	if p != nil {
		p.words.to.Store(to)
	}
}

// Keep keeps an instant, unless a later one is kept already. What it is the time of,
// its callers know: a clock that every worker of this supervisor reads alike.
func (p *Pledge) Keep(until int64) {
	if p != nil && until > p.words.until.Load() {
		p.words.until.Store(until)
	}
}
