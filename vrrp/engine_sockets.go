package vrrp

import (
	"net/netip"
	"slices"
)

// socketKey is what the instances of one socket have in common.
type socketKey struct {
	iface  string
	family Family
}

// openSocket is a socket with what the engine knows of it. Its reader uses
// socket, which never changes, and leaves the rest to the engine.
type openSocket struct {
	key    socketKey
	socket Socket

	index     int
	closed    bool
	instances map[VRID][]*instanceShell

	staged  []Datagram       // to be sent next
	senders []*instanceShell // whose they are
	failed  func(index int, err error)
}

// connect opens the sockets that the instances need and the links allow,
// closes the others, and tells each one what to receive. An instance without a
// socket has no source, which is a fault: who is deaf must not take over.
func (l *loop) connect() {
	wanted := make(map[socketKey][]*instanceShell)
	for _, u := range l.units {
		for _, i := range u.instances {
			key := socketKey{i.spec.Interface, i.spec.Family}
			wanted[key] = append(wanted[key], i)
			i.socket = nil
		}
	}
	for key, s := range l.sockets {
		if link, ok := l.links[key.iface]; wanted[key] == nil || !ok || link.Gone || link.Index != s.index {
			l.close(s)
		}
	}
	for key, instances := range wanted {
		link, ok := l.links[key.iface]
		if !ok || link.Gone || link.Index == 0 {
			continue // SetLink calls again; the unit tracks the interface
		}
		s, err := l.open(key, link.Index)
		if err == nil {
			err = s.subscribe(instances)
		}
		if err != nil {
			l.lament(key, instances, err)
			if s != nil {
				l.close(s)
			}
			continue
		}
		for _, i := range instances {
			i.socket = s
		}
	}
	l.refresh() // to open sockets takes time: who waits for adverts does so from when he hears
	for _, u := range l.units {
		for _, i := range u.instances {
			l.checkSource(i)
		}
	}
}

// open returns the socket of a key, and opens it if need be.
func (l *loop) open(key socketKey, index int) (*openSocket, error) {
	if s := l.sockets[key]; s != nil {
		return s, nil
	}
	socket, err := l.opts.Network.Open(SocketSpec{Interface: key.iface, Index: index, Family: key.family})
	if err != nil {
		return nil, err
	}
	s := &openSocket{key: key, socket: socket, index: index}
	s.failed = func(index int, err error) {
		l.complain(s.senders[index], "advert was not sent", err)
	}
	l.sockets[key] = s
	l.listen(s)
	return s, nil
}

// subscribe makes s receive what its instances listen to.
func (s *openSocket) subscribe(instances []*instanceShell) error {
	var (
		vrids  VRIDSet
		groups []netip.Addr
		byVRID = make(map[VRID][]*instanceShell)
	)
	for _, i := range instances {
		vrids.Add(i.spec.VRID)
		byVRID[i.spec.VRID] = append(byVRID[i.spec.VRID], i)
		if group := i.spec.group(); !i.spec.Wire.Unicast && !slices.Contains(groups, group) {
			groups = append(groups, group)
		}
	}
	s.instances = byVRID
	return s.socket.Subscribe(vrids, groups)
}

// lament says that a socket cannot be opened. It is tried again.
func (l *loop) lament(key socketKey, instances []*instanceShell, err error) {
	l.retryAt = sooner(l.retryAt, l.now.Add(retryEvery))
	for _, i := range instances {
		if !l.hush(i, "no socket") {
			l.opts.Log.Error("socket was not opened; trying again", "instance", i.spec.Name,
				"iface", key.iface, "family", key.family, "err", err)
		}
	}
}

// close gives up a socket; its reader ends by that.
func (l *loop) close(s *openSocket) {
	s.closed = true
	delete(l.sockets, s.key)
	for _, instances := range s.instances {
		for _, i := range instances {
			if i.socket == s {
				i.socket = nil
			}
		}
	}
	if err := s.socket.Close(); err != nil {
		l.opts.Log.Warn("socket was not closed", "iface", s.key.iface, "family", s.key.family, "err", err)
	}
}

func (l *loop) closeSockets() {
	for _, s := range l.sockets {
		l.close(s)
	}
}
