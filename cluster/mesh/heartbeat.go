package mesh

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
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

// Send sends heartbeats to members, each on every path to each of them. It does
// not wait, and keeps no reference to what it was given. It fails when a payload
// is longer than MaxPayload, when a member is unknown, while the others get it,
// or when no path took any; nobody knows what arrives.
func (m *Mesh) Send(members []string, payloads ...[]byte) error {
	m.sending.Lock()
	defer m.sending.Unlock()
	conn, to, unknown := m.address(members)
	if len(to) == 0 {
		return unknown
	}
	sealed, err := m.sealAll(payloads)
	if err != nil {
		return err
	}
	failed, err := writeAll(conn, sealed, to)
	m.failed.Add(uint64(failed))
	m.sent.Add(uint64(len(sealed)*len(to) - failed))
	if err != nil && failed == len(sealed)*len(to) {
		return fmt.Errorf("mesh: send to %s: %w", strings.Join(members, ", "), errors.Join(err, errNoPath))
	}
	return unknown
}

// address says where heartbeats for members go.
func (m *Mesh) address(members []string) (conn PacketConn, to []netip.AddrPort, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.heartbeats == nil {
		return nil, nil, fmt.Errorf("mesh: send to %s: %w", strings.Join(members, ", "), ErrStopped)
	}
	for _, member := range members {
		c, known := m.configured[member]
		if !known {
			err = fmt.Errorf("mesh: send to %q: %w", member, ErrUnknownMember)
		}
		to = append(to, c.HeartbeatAddrs...)
	}
	return m.heartbeats, to, err
}

// sealAll seals each payload once, for all members. It needs sending: the result
// is valid until the next call.
func (m *Mesh) sealAll(payloads [][]byte) ([][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.sealed) < len(payloads) {
		m.sealed = append(m.sealed, make([]byte, 0, maxSealed))
	}
	sealed := m.sealed[:len(payloads)]
	for i, p := range payloads {
		if len(p) > MaxPayload {
			return nil, fmt.Errorf("mesh: send %d bytes: %w", len(p), ErrTooLong)
		}
		var err error
		if sealed[i], err = m.sealer.seal(sealed[i][:0], p); err != nil {
			return nil, fmt.Errorf("mesh: send: %w", err)
		}
	}
	return sealed, nil
}

// batchWriter is a PacketConn that takes many datagrams at once. It returns how
// many of them it could not send, and why.
type batchWriter interface {
	WriteAll(datagrams [][]byte, to []netip.AddrPort) (failed int, err error)
}

// writeAll sends all datagrams to all addresses, those of one address together,
// so that they arrive together.
func writeAll(conn PacketConn, datagrams [][]byte, to []netip.AddrPort) (failed int, err error) {
	if batch, ok := conn.(batchWriter); ok {
		return batch.WriteAll(datagrams, to)
	}
	for _, addr := range to {
		for _, b := range datagrams {
			if e := conn.WriteTo(b, addr); e != nil {
				failed, err = failed+1, e
			}
		}
	}
	return failed, err
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

// A record of many units is many datagrams. Where the network delivers them one by
// one the reader waits for a moment after the first of them, and reads the others
// together.
const (
	readPace  = 2 * time.Millisecond
	oneOfMany = MaxPayload / 2 // a datagram of so many bytes is not alone
)

// batchReader is a PacketConn that reads many datagrams at once, at least one. The
// result is valid until the next call; net.ErrClosed after Close.
type batchReader interface {
	ReadAll() ([]Receipt, error)
}

// oneByOne makes a batchReader of a PacketConn that is none.
type oneByOne struct {
	conn PacketConn
	buf  [maxSealed + 1]byte // one more, so that what is too long shows
	out  [1]Receipt
}

func (o *oneByOne) ReadAll() ([]Receipt, error) {
	n, from, path, err := o.conn.ReadFrom(o.buf[:])
	o.out[0] = Receipt{From: from, Path: path, Payload: o.buf[:n]}
	return o.out[:], err
}

// receive hands heartbeats on until the socket is closed.
func (m *Mesh) receive(conn PacketConn) {
	reader, batches := conn.(batchReader)
	if !batches {
		reader = &oneByOne{conn: conn}
	}
	var opened []byte
	for {
		arrived, err := reader.ReadAll()
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
		opened = m.openAll(opened[:0], arrived)
		arrived = slices.DeleteFunc(arrived, func(r Receipt) bool { return r.Payload == nil || m.tried(r.Payload) })
		for i, r := range arrived {
			r.At, r.More = at, i+1 < len(arrived)
			m.o.Receive(r)
		}
		if batches && len(arrived) == 1 && len(arrived[0].Payload) >= oneOfMany {
			time.Sleep(readPace)
		}
	}
}

// openAll replaces each payload by what was sealed in it, nil for what was not
// sealed for this cluster. The payloads are appended to b.
func (m *Mesh) openAll(b []byte, arrived []Receipt) []byte {
	b = slices.Grow(b, len(arrived)*MaxPayload)
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range arrived {
		payload, ok := m.sealer.open(b[len(b):], arrived[i].Payload)
		if !ok {
			m.rejected.Add(1)
			arrived[i].Payload = nil
			continue
		}
		m.received.Add(1)
		b = b[:len(b)+len(payload)]
		arrived[i].Payload = payload
	}
	return b
}
