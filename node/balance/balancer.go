package balance

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/director"
	"github.com/hacluster/hacluster/lvs/ipvs"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/observed/override"
	"github.com/hacluster/hacluster/vrrp"
)

// Kernel is the table of the kernel; ipvs.Kernel is one.
type Kernel interface {
	lvs.Kernel
	SetTimeouts(ipvs.Timeouts) error
	Close() error
}

// Options are what a Balancer works with. All but Before and Open are required. The functions
// must not block.
type Options struct {
	Log    *slog.Logger
	Node   string
	RunDir string // for the journal of what is ours in the table
	Record func(observed.Event)
	Alert  func(observed.Alert)
	// Before is what the process before handed over.
	Before Known
	// Open opens the kernel's table; nil: ipvs.Open.
	Open func(context.Context) (Kernel, error)
}

// Balancer is the load balancer of one node.
type Balancer struct {
	o    Options
	wake chan struct{} // holds one token while there are news
	tell *teller

	mu     sync.Mutex
	news   news     // guarded by mu
	runs   *session // what Services asks; nil: nothing runs; guarded by mu
	broken error    // why not; nil: there is nothing to do; guarded by mu

	// Of Run's goroutine.
	wanted  *Wanted // nil: nothing was applied yet
	units   []vrrp.UnitStatus
	byHand  director.Overrides
	others  map[director.ServerKey]director.Others
	left    bool      // an earlier process left something in the table
	retryAt time.Time // when the kernel is tried again
}

// news are what came in since the last look. The newest word counts.
type news struct {
	wanted *Wanted
	units  *[]vrrp.UnitStatus
	byHand *director.Overrides
	others *map[director.ServerKey]director.Others
}

// retryEvery is the time between two attempts to open the kernel's table.
const retryEvery = 30 * time.Second

// New returns a Balancer that touches nothing before something was applied.
func New(o Options) *Balancer {
	if o.Open == nil {
		o.Open = func(ctx context.Context) (Kernel, error) { return ipvs.Open(ctx) }
	}
	return &Balancer{
		o: o, wake: make(chan struct{}, 1), left: lvs.Left(o.RunDir),
		tell: &teller{node: o.Node, record: o.Record, alert: o.Alert},
	}
}

// Apply says what is wanted from now on, all of it. It does not block.
func (b *Balancer) Apply(w Wanted) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.news.wanted = &w
	b.ring()
}

// Units says how the units of this node stand: which addresses it holds, for
// ha_suspend, and which role lvs_sync_daemon has. It does not block. Nobody may
// change what it is given.
func (b *Balancer) Units(units []vrrp.UnitStatus) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.news.units = &units
	b.ring()
}

// Override says which weights people gave by hand, all of them. It does not block.
func (b *Balancer) Override(list []override.Override) {
	byHand := make(director.Overrides)
	for _, o := range list {
		if byHand[o.Service] == nil {
			byHand[o.Service] = make(map[netip.AddrPort]director.Override)
		}
		byHand[o.Service][o.Server] = director.Override{Weight: o.Weight, Why: o.Why()}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.news.byHand = &byHand
	b.ring()
}

// Hear says what other directors see of real servers, all of it, for lvs_agree; nobody
// may change it afterwards. It does not block.
func (b *Balancer) Hear(others map[director.ServerKey]director.Others) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.news.others = &others
	b.ring()
}

// Services are how the virtual services stand; none when there are none. The error
// says why those that are wanted are not served.
func (b *Balancer) Services(ctx context.Context) ([]director.ServiceStatus, error) {
	s, broken := b.now()
	if s == nil {
		return nil, broken
	}
	services, err := s.director.Status(ctx)
	if err != nil {
		return nil, err
	}
	states, err := s.table.State(ctx)
	if err != nil {
		return nil, err
	}
	director.AddStates(services, states)
	return services, nil
}

// Verdicts are Services without what the kernel's table has counted, which is asked
// for entry by entry.
func (b *Balancer) Verdicts(ctx context.Context) ([]director.ServiceStatus, error) {
	s, broken := b.now()
	if s == nil {
		return nil, broken
	}
	return s.director.Status(ctx)
}

// Look is what the checks of this node say of its real servers, and of those that are
// asked for also when they are up; nothing when nothing is balanced.
func (b *Balancer) Look(ctx context.Context, asked map[director.ServerKey]bool) (director.Sight, error) {
	s, _ := b.now()
	if s == nil {
		return director.Sight{}, nil
	}
	return s.director.Look(ctx, asked)
}

// Table is how far the kernel's table is what is wanted, as it was last compared.
// Nobody may change it.
func (b *Balancer) Table() lvs.Status {
	s, _ := b.now()
	if s == nil {
		return lvs.Status{}
	}
	st := s.status.Load()
	if st == nil {
		return lvs.Status{}
	}
	return *st
}

// now is what runs; nil: nothing does, and the error says why if something should.
func (b *Balancer) now() (*session, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.runs, b.broken
}

func (b *Balancer) ring() {
	select {
	case b.wake <- struct{}{}:
	default: // it is rung for already
	}
}

// Run balances until ctx is done. The virtual services are gone when it returns.
func (b *Balancer) Run(ctx context.Context) error {
	var s *session // nil: nothing runs
	ended := ctx.Done()
	for {
		var retry <-chan time.Time // nil, so never ready, when nothing is waited for
		if s == nil && b.needed() {
			retry = time.After(time.Until(b.retryAt))
		}
		select {
		case <-ended:
			return b.end(ctx, s)
		case <-b.wake:
			b.take()
		case <-retry:
		}
		switch {
		case s != nil:
		case !b.needed():
			b.standing(nil, nil)
		case !time.Now().Before(b.retryAt):
			s = b.begin(ctx)
		}
		if s != nil {
			ended = s.ended
			s.bring(b.wanted, b.units, b.byHand, b.others)
		}
	}
}

// take takes the news over.
func (b *Balancer) take() {
	b.mu.Lock()
	n := b.news
	b.news = news{}
	b.mu.Unlock()
	if n.units != nil {
		b.units = *n.units
	}
	if n.byHand != nil {
		b.byHand = *n.byHand
	}
	if n.others != nil {
		b.others = *n.others
	}
	if n.wanted != nil {
		b.wanted = n.wanted
		b.tell.know(n.wanted.desired)
	}
}

// needed reports whether there is something to do.
func (b *Balancer) needed() bool {
	return b.wanted != nil && (b.left || !b.wanted.balance.Idle())
}

// openTimeout bounds one attempt to open the table, in which a module is loaded.
const openTimeout = 10 * time.Second

// begin opens the kernel's table and starts what runs over it; nil: that could not
// be, and has been told.
func (b *Balancer) begin(ctx context.Context) *session {
	open, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	kernel, err := b.o.Open(open)
	if ctx.Err() != nil {
		if err == nil {
			_ = kernel.Close() // nothing was written
		}
		return nil
	}
	if err != nil {
		b.retryAt = time.Now().Add(retryEvery)
		b.standing(nil, err)
		return nil
	}
	s := newSession(ctx, b.o, kernel, b.tell)
	b.standing(s, nil)
	return s
}

// standing notes what Services answers, and tells people when the kernel cannot be
// used, and when that is over.
func (b *Balancer) standing(s *session, broken error) {
	b.mu.Lock()
	tell := broken != nil || b.broken != nil
	b.runs, b.broken = s, broken
	b.mu.Unlock()
	if tell {
		b.o.Alert(observed.NoBalancer(b.o.Node, broken, time.Now()))
	}
}

// end ends what runs.
func (b *Balancer) end(ctx context.Context, s *session) error {
	if s == nil {
		return context.Cause(ctx)
	}
	b.tell.know(director.Desired{}) // the end of all services is no alert
	return s.end()
}
