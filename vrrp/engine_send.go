package vrrp

import (
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/vrrp/packet"
)

// outgoing is the advert of an instance as it was last sent. A master repeats
// it until its spec, priority, source or dialect changes.
type outgoing struct {
	priority  Priority
	datagrams []Datagram // nil: must be built; one, or one for each unicast peer
}

// stage puts the adverts of an instance among those that go out next.
func (l *loop) stage(i *instanceShell, priority Priority) {
	if i.socket == nil || !i.source.IsValid() {
		return // the unit is in FAULT, or about to be
	}
	if i.out.datagrams == nil || i.out.priority != priority {
		out, err := i.build(priority)
		if err != nil {
			l.complain(i, "advert was not built", err)
			return
		}
		i.out = out
	}
	i.socket.staged = append(i.socket.staged, i.out.datagrams...)
	for range i.out.datagrams {
		i.socket.senders = append(i.socket.senders, i)
	}
	i.sent++
	if priority > 0 {
		l.speak(i)
	}
}

// build makes the datagrams. Their memory is new each time: what was staged
// before may still wait to be sent.
func (i *instanceShell) build(priority Priority) (outgoing, error) {
	spec := i.spec
	advert := packet.Advert{
		Version:  uint8(spec.Version),
		VRID:     uint8(spec.VRID),
		Priority: uint8(priority),
		Interval: spec.AdvertInterval,
	}
	if spec.Version == 2 && spec.Family == IPv4 {
		advert.Auth, advert.AuthData = spec.Wire.Auth, spec.Wire.AuthData
	}
	for _, a := range spec.Addresses {
		advert.Addrs = append(advert.Addrs, a.Prefix.Addr())
	}

	out := outgoing{priority: priority}
	for _, dst := range spec.destinations() {
		payload, err := advert.Append(nil, i.source, dst, i.dialect)
		if err != nil {
			return outgoing{}, err
		}
		ttl := uint8(255)
		if spec.Wire.Unicast && spec.Wire.UnicastTTL > 0 {
			ttl = uint8(min(spec.Wire.UnicastTTL, 255))
		}
		out.datagrams = append(out.datagrams, Datagram{Src: i.source, Dst: dst, TTL: ttl, Payload: payload})
	}
	return out, nil
}

// destinations is where an instance sends to.
func (s *InstanceSpec) destinations() []netip.Addr {
	if !s.Wire.Unicast {
		return []netip.Addr{s.group()}
	}
	addrs := make([]netip.Addr, len(s.Wire.Peers))
	for i, p := range s.Wire.Peers {
		addrs[i] = p.Addr
	}
	return addrs
}

// flush sends what was staged, one batch for each socket, and renews the gates
// whose adverts are among it.
func (l *loop) flush() {
	if len(l.speaking) > 0 {
		before := l.opts.Gate.Now()
		defer func() { l.prolong(before, l.opts.Gate.Now()) }()
	}
	for _, s := range l.sockets {
		if len(s.staged) == 0 {
			continue
		}
		s.socket.Send(s.staged, s.failed)
		clear(s.staged)
		clear(s.senders)
		s.staged, s.senders = s.staged[:0], s.senders[:0]
	}
}

// quietFor is how long the same complaint about an instance is not repeated.
const quietFor = time.Minute

// complain logs what may happen with every advert, but not each time.
func (l *loop) complain(i *instanceShell, msg string, err error) {
	if l.hush(i, msg) {
		return
	}
	l.opts.Log.Warn("instance is hindered", "what", msg, "instance", i.spec.Name, "iface", i.spec.Interface, "err", err)
}

// hush says whether something was logged of an instance a short while ago, and
// otherwise notes that it is being logged now.
func (l *loop) hush(i *instanceShell, what string) bool {
	if last, ok := i.quiet[what]; ok && l.now.Sub(last) < quietFor {
		return true
	}
	if i.quiet == nil {
		i.quiet = make(map[string]time.Time)
	}
	i.quiet[what] = l.now
	return false
}
