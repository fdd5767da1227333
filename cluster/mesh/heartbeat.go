package mesh

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Stats count heartbeats since the start.
type Stats struct {
	Sent       uint64 // datagrams, one for each path
	SendFailed uint64
	Received   uint64
	Rejected   uint64 // not sealed with a key of the ring, or for another cluster
}

// Stats returns the counters.
func (m *Mesh) Stats() Stats {
	return Stats{Sent: m.sent.Load(), SendFailed: m.failed.Load(), Received: m.received.Load(), Rejected: m.rejected.Load()}
}

// Send sends one heartbeat to a member, on every path to it. It does not wait,
// and keeps no reference to payload. It fails when payload is longer than
// MaxPayload or when no path took it; nobody knows whether it arrives.
func (m *Mesh) Send(member string, payload []byte) error {
	if len(payload) > MaxPayload {
		return fmt.Errorf("mesh: send %d bytes to %s: %w", len(payload), member, ErrTooLong)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	to, known := m.configured[member]
	switch {
	case !known:
		return fmt.Errorf("mesh: send to %q: %w", member, ErrUnknownMember)
	case m.heartbeats == nil:
		return fmt.Errorf("mesh: send to %s: %w", member, ErrStopped)
	}
	sealed, err := m.sealer.seal(m.sealed[:0], payload)
	if err != nil {
		return fmt.Errorf("mesh: send to %s: %w", member, err)
	}
	m.sealed = sealed

	var failures []error
	for _, addr := range to.HeartbeatAddrs {
		if err := m.heartbeats.WriteTo(sealed, addr); err != nil {
			failures = append(failures, err)
			m.failed.Add(1)
			continue
		}
		m.sent.Add(1)
	}
	if len(failures) == len(to.HeartbeatAddrs) {
		return fmt.Errorf("mesh: send to %s: %w", member, errors.Join(append(failures, errNoPath)...))
	}
	return nil
}

// Seal seals a payload as Send does, and returns where it would go: for somebody
// else to send when this process cannot any more. It sends nothing.
func (m *Mesh) Seal(payload []byte, members []string) (sealed []byte, to []netip.AddrPort, err error) {
	if len(payload) > MaxPayload {
		return nil, nil, fmt.Errorf("mesh: seal %d bytes: %w", len(payload), ErrTooLong)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, member := range members {
		to = append(to, m.configured[member].HeartbeatAddrs...)
	}
	sealed, err = m.sealer.seal(nil, payload)
	if err != nil {
		return nil, nil, fmt.Errorf("mesh: seal: %w", err)
	}
	return sealed, to, nil
}

// Generation changes with the members and the keys: what was sealed before is
// not for all of them, or cannot be opened for long. No two meshes of a process
// share one.
func (m *Mesh) Generation() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.generation
}

var errNoPath = errors.New("no path took it")

// receive hands heartbeats on until the socket is closed.
func (m *Mesh) receive(conn PacketConn) {
	buf := make([]byte, maxSealed+1) // one more, so that what is too long shows
	room := make([]byte, 0, MaxPayload)
	for {
		n, from, path, err := conn.ReadFrom(buf)
		at := time.Now()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// An ICMP error for what was sent, most likely.
			m.log.Debug("read heartbeat", "err", err)
			time.Sleep(time.Millisecond)
			continue
		}
		m.mu.Lock()
		payload, ok := m.sealer.open(room, buf[:n])
		m.mu.Unlock()
		if !ok {
			m.rejected.Add(1)
			continue
		}
		m.received.Add(1)
		m.o.Receive(Receipt{From: from, Path: path, Payload: payload, At: at})
	}
}
