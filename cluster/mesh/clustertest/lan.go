package clustertest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// LAN is a network of hosts. Its methods may be called by anybody.
type LAN struct {
	mu    sync.Mutex
	rand  *rand.Rand
	delay time.Duration
	loss  float64
	hosts map[netip.Addr]*Host
	cuts  map[[2]string]bool // from, to
}

// NewLAN returns a network that loses nothing and delays each datagram by 100
// µs. The seed decides which datagrams Loss takes.
func NewLAN(seed uint64) *LAN {
	return &LAN{
		rand:  rand.New(rand.NewPCG(seed, 0)),
		delay: 100 * time.Microsecond,
		hosts: make(map[netip.Addr]*Host),
		cuts:  make(map[[2]string]bool),
	}
}

// Host is one machine on the network.
type Host struct {
	lan     *LAN
	name    string
	packets map[netip.AddrPort]*PacketConn // by local address; guarded by lan.mu
	streams *Streams                       // nil: nobody accepts
}

// Host adds a machine with its addresses. It panics when an address is taken.
func (l *LAN) Host(name string, addrs ...netip.Addr) *Host {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := &Host{lan: l, name: name, packets: make(map[netip.AddrPort]*PacketConn)}
	for _, addr := range addrs {
		if other := l.hosts[addr]; other != nil {
			panic(fmt.Sprintf("clustertest: %v belongs to %s", addr, other.name))
		}
		l.hosts[addr] = h
	}
	return h
}

// Loss makes the network lose each datagram with probability p.
func (l *LAN) Loss(p float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loss = p
}

// Delay sets how long a datagram travels.
func (l *LAN) Delay(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = d
}

// Cut drops what goes from one host to another, in this direction only. A
// stream between them fails, whichever way it was opened.
func (l *LAN) Cut(from, to string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cuts[[2]string{from, to}] = true
}

// Partition cuts both directions between every host of one side and every host
// of the other.
func (l *LAN) Partition(one, other []string) {
	for _, a := range one {
		for _, b := range other {
			l.Cut(a, b)
			l.Cut(b, a)
		}
	}
}

// Heal removes all cuts.
func (l *LAN) Heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.cuts)
}

// reaches needs mu.
func (l *LAN) reaches(from, to *Host) bool { return !l.cuts[[2]string{from.name, to.name}] }

// connected says whether datagrams pass in both directions.
func (l *LAN) connected(a, b *Host) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reaches(a, b) && l.reaches(b, a)
}
