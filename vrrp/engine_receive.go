package vrrp

import (
	"errors"

	"github.com/hacluster/hacluster/vrrp/packet"
)

// batchSize is how many packets are read at a time, at most.
const batchSize = 16

// receive takes what one read of a socket brought.
func (l *loop) receive(s *openSocket, packets []Packet, err error) {
	if s.closed {
		return // it was read before the socket was given up
	}
	for n := range packets {
		l.hear(s, &packets[n])
	}
	if err != nil {
		l.opts.Log.Warn("socket is opened again", "iface", s.key.iface, "family", s.key.family, "err", err)
		l.close(s)
		l.retryAt = sooner(l.retryAt, l.now.Add(retryEvery))
	}
}

// hear takes one packet. A packet that is refused is counted, shown to
// Observe, and touches nothing else.
func (l *loop) hear(s *openSocket, p *Packet) {
	i := s.addressee(p)
	if i == nil {
		return // it came before the filter knew better
	}
	v, repeated := i.receiver.judge(p)
	if v.reason != "" {
		l.reject(i, p, v)
		return
	}
	if why := l.estranged(i, p, v); why != "" {
		refused := *v // the receiver remembers its own
		refused.reason, refused.detail = reasonStranger, why
		l.reject(i, p, &refused)
		return
	}
	i.received++
	if v.differs {
		i.differs++
		if !repeated && !l.hush(i, "addresses differ") {
			l.opts.Log.Warn("advert names other addresses than configured here; accepted",
				"instance", i.spec.Name, "from", p.Src, "addresses", v.advert.Addrs)
		}
	}
	if !repeated || i.event == nil {
		l.learn(i, p, v)
	}
	l.observe(i, p, v)
	l.step(i.unit, i.event)
}

// addressee finds the instance to which a packet is addressed: by VRID, and
// where several instances on an interface share one, by group or peer. Nil:
// none has the VRID.
func (s *openSocket) addressee(p *Packet) *instanceShell {
	if len(p.Payload) < 2 {
		return nil
	}
	candidates := s.instances[VRID(p.Payload[1])]
	for _, i := range candidates {
		if i.receiver.addressed(p.Dst) && (!i.spec.Wire.Unicast || i.receiver.peer(p.Src) != nil) {
			return i
		}
	}
	if len(candidates) == 0 {
		return nil
	}
	return candidates[0]
}

// learn takes over what is new in an accepted advert.
func (l *loop) learn(i *instanceShell, p *Packet, v *verdict) {
	i.event = Advert{
		Instance: i.spec.Name,
		From:     p.Src,
		Priority: Priority(v.advert.Priority),
		Interval: v.advert.Interval,
		Kin:      l.kin[p.Src.WithZone("")],
	}
	i.heard = v.advert.Addrs
	l.soilSoon(i.unit)

	// Three dialects of the checksum are in use, and each receiver accepts only
	// its own: speak as the other side does.
	if i.spec.Version == 3 && i.spec.Family == IPv4 && v.dialect != i.dialect {
		l.opts.Log.Info("checksum dialect of the sender is used from now on",
			"instance", i.spec.Name, "from", p.Src, "dialect", dialectName(v.dialect))
		i.dialect = v.dialect
		i.out = outgoing{}
	}
}

func dialectName(c packet.Checksum) string {
	switch c {
	case packet.ChecksumPlain:
		return "without pseudo-header"
	case packet.ChecksumGroup:
		return "with the multicast group in the pseudo-header"
	default:
		return "with pseudo-header"
	}
}

func (l *loop) reject(i *instanceShell, p *Packet, v *verdict) {
	if i.rejected == nil {
		i.rejected = make(map[packet.Reason]uint64)
	}
	i.rejected[v.reason]++
	l.observe(i, p, v)
	what := string(v.reason)
	if !l.hush(i, what) {
		l.soilSoon(i.unit)
		l.opts.Log.Warn("advert refused", "instance", i.spec.Name, "iface", i.spec.Interface, "vrid", i.spec.VRID,
			"from", p.Src, "reason", what, "err", errors.New(v.detail))
	}
}

func (l *loop) observe(i *instanceShell, p *Packet, v *verdict) {
	if l.opts.Observe == nil {
		return
	}
	l.opts.Observe(Observation{
		At:        l.now,
		Interface: i.spec.Interface,
		Family:    i.spec.Family,
		VRID:      i.spec.VRID,
		Instance:  i.spec.Name,
		From:      p.Src,
		Version:   int(v.advert.Version),
		Priority:  Priority(v.advert.Priority),
		Interval:  v.advert.Interval,
		Addrs:     v.advert.Addrs,
		Rejected:  string(v.reason),
		Detail:    v.detail,
	})
}
