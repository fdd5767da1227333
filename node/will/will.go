package will

import (
	"fmt"
	"log/slog"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/supervisor"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
	"github.com/hacluster/hacluster/vrrp/packet"
)

// Will keeps this process's last will with the supervisor: a clause for each
// instance that holds addresses, and one for each datagram of the last record.
//
// A clause is deposited before what it covers is claimed. When it cannot be,
// because the supervisor hangs, the take-over goes on: the kernel's own limits
// (the gate, the addresses' lifetimes) hold without anybody.
type Will struct {
	log  *slog.Logger
	keep Clauses

	mu         sync.Mutex
	seal       Sealer
	record     splitbrain.Will
	generation uint64 // with which the record was sealed; 0: it is not
	parts      int    // clauses that the record has
	complained bool
}

// Clauses is a supervisor.Worker.
type Clauses interface {
	Put(name string, c supervisor.Clause) error
}

// Sealer is a cluster.Cluster.
type Sealer interface {
	Seal(payload []byte, members []string) (sealed []byte, to []netip.AddrPort, err error)
	SealGeneration() uint64
}

// New returns a will in which nothing stands.
func New(log *slog.Logger, keep Clauses) *Will {
	return &Will{log: log.With("component", "will"), keep: keep}
}

// Instance deposits what is to be done for an instance that holds, or nothing for
// one that does not. It runs on the engine's goroutine.
func (k *Will) Instance(v vrrp.Will) {
	var c supervisor.Clause
	if len(v.Addresses) > 0 {
		c.Silence, c.Gated = v.Silence, v.Gated
		for _, a := range v.Addresses {
			c.Addresses = append(c.Addresses, supervisor.Address{Interface: a.Interface, Prefix: a.Prefix, Peer: a.Peer})
		}
		for _, d := range v.Farewell {
			c.Words = append(c.Words, supervisor.Words{
				Protocol: packet.Number, Interface: uint32(v.Index), Source: d.Src, TTL: d.TTL,
				Payload: d.Payload, To: []netip.AddrPort{netip.AddrPortFrom(d.Dst, 0)},
			})
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.put("instance "+v.Instance, c)
}

// Say replaces the last record, which is sealed by s. It runs on the arbiter's
// goroutine, before a record leaves that the last one takes back.
func (k *Will) Say(record splitbrain.Will, s Sealer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.record, k.seal, k.generation = record, s, 0
	k.deposit()
}

// Refresh seals the last record again when members or keys are others. It costs
// nothing when they are not.
func (k *Will) Refresh() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.seal != nil && k.seal.SealGeneration() != k.generation {
		k.deposit()
	}
}

// Forget drops the last record: this node has said goodbye itself.
func (k *Will) Forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.record, k.seal = nil, nil
	k.shorten(0)
}

// deposit needs mu. One datagram for several members is sealed once.
func (k *Will) deposit() {
	k.generation = k.seal.SealGeneration()
	if k.generation == 0 {
		return // the mesh does not run yet; Refresh comes again
	}
	var payloads []string
	members := make(map[string][]string)
	for _, o := range k.record {
		p := string(o.Payload)
		if members[p] == nil {
			payloads = append(payloads, p)
		}
		members[p] = append(members[p], o.To)
	}
	part := 0
	for _, p := range payloads {
		sealed, to, err := k.seal.Seal([]byte(p), members[p])
		if err != nil {
			k.complain(err)
			continue
		}
		k.put(fmt.Sprintf("record %d", part), supervisor.Clause{
			Words: []supervisor.Words{{Protocol: unix.IPPROTO_UDP, Payload: sealed, To: to}},
		})
		part++
	}
	k.shorten(part)
}

// shorten drops what the record before had more. It needs mu.
func (k *Will) shorten(parts int) {
	for n := parts; n < k.parts; n++ {
		k.put(fmt.Sprintf("record %d", n), supervisor.Clause{})
	}
	k.parts = parts
}

// put needs mu.
func (k *Will) put(name string, c supervisor.Clause) {
	if err := k.keep.Put(name, c); err != nil {
		k.complain(err)
		return
	}
	k.complained = false
}

// complain says once that the supervisor does not take the will. It needs mu.
func (k *Will) complain(err error) {
	if !k.complained {
		k.log.Error("last will not deposited: if this process dies, its addresses answer until their lifetime ends", "err", err)
	}
	k.complained = true
}
