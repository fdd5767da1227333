package supervisor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// A clause in a message: numbers are unsigned varints, strings and addresses
// have their length in front.

func appendClause(b []byte, c *Clause) []byte {
	b = binary.AppendUvarint(b, uint64(max(c.Silence, 0)))
	b = binary.AppendUvarint(b, uint64(len(c.Addresses)))
	for _, a := range c.Addresses {
		b = appendBytes(b, []byte(a.Interface))
		b = appendPrefix(b, a.Prefix)
		b = appendPrefix(b, a.Peer)
	}
	b = binary.AppendUvarint(b, uint64(len(c.Words)))
	for _, w := range c.Words {
		b = append(b, w.Protocol, w.TTL)
		b = binary.AppendUvarint(b, uint64(w.Interface))
		b = appendAddr(b, w.Source)
		b = appendBytes(b, w.Payload)
		b = binary.AppendUvarint(b, uint64(len(w.To)))
		for _, to := range w.To {
			b = appendAddr(b, to.Addr())
			b = binary.AppendUvarint(b, uint64(to.Port()))
		}
	}
	if c.Gated {
		b = append(b, 1)
	}
	return b
}

func appendBytes(b, s []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendAddr(b []byte, a netip.Addr) []byte { return appendBytes(b, a.AsSlice()) }

// appendPrefix writes the length plus one, so that the zero prefix is its own.
func appendPrefix(b []byte, p netip.Prefix) []byte {
	return binary.AppendUvarint(appendAddr(b, p.Addr()), uint64(p.Bits()+1))
}

var errMalformed = errors.New("malformed message")

// parseClause reads what appendClause wrote.
func parseClause(b []byte) (Clause, error) {
	d := decoder{b: b}
	c := Clause{Silence: time.Duration(d.number(uint64(maxSilence)))}
	for range d.count(5) {
		c.Addresses = append(c.Addresses, Address{Interface: string(d.bytes(maxIfname)), Prefix: d.prefix(), Peer: d.prefix()})
	}
	for range d.count(6) {
		w := Words{Protocol: d.byte(), TTL: d.byte(), Interface: uint32(d.number(1<<32 - 1)), Source: d.addr()}
		w.Payload = append(w.Payload, d.bytes(maxMessage)...)
		for range d.count(2) {
			addr := d.addr()
			w.To = append(w.To, netip.AddrPortFrom(addr, uint16(d.number(1<<16-1))))
		}
		c.Words = append(c.Words, w)
	}
	if len(d.b) > 0 {
		c.Gated = d.byte() == 1
	}
	if d.bad || len(d.b) > 0 {
		return Clause{}, fmt.Errorf("clause of a will: %w", errMalformed)
	}
	return c, nil
}

// maxSilence is far beyond what any clause asks for.
const maxSilence = time.Hour

// decoder reads a message from its front. After the first mistake it gives
// zeros.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) fail() { d.b, d.bad = nil, true }

func (d *decoder) number(most uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > most {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads how many things of at least size bytes follow.
func (d *decoder) count(size int) int { return int(d.number(uint64(len(d.b) / size))) }

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

// bytes reads a string; the result is part of the message.
func (d *decoder) bytes(most int) []byte {
	n := int(d.number(uint64(most)))
	if n > len(d.b) {
		d.fail()
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) addr() netip.Addr {
	b := d.bytes(16)
	a, ok := netip.AddrFromSlice(b)
	if !ok && len(b) > 0 {
		d.fail()
	}
	return a
}

func (d *decoder) prefix() netip.Prefix {
	a := d.addr()
	bits := int(d.number(129)) - 1
	if bits < 0 && !a.IsValid() {
		return netip.Prefix{}
	}
	p := netip.PrefixFrom(a, bits)
	if !p.IsValid() {
		d.fail()
	}
	return p
}
