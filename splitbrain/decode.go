package splitbrain

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Decode reads one datagram. It keeps no reference to payload. Its error is
// ErrNotRecord, ErrVersion or wraps ErrMalformed.
func Decode(payload []byte) (Datagram, error) { return new(Decoder).Decode(payload) }

// Decoder reads the datagrams of many records. A record says of most units what the
// one before it said, ages apart; those claims it knows by their bytes, and reads
// their ages only. Its results share memory, so nobody may change them. It belongs
// to one goroutine at a time; the zero value is ready.
type Decoder struct {
	known map[claimBytes]*Claim // without ages
}

// claimBytes is a claim as it stands in a datagram, without ages.
type claimBytes struct {
	flags byte
	rest  string
}

// maxKnown bounds what a Decoder remembers: the claims of 16 nodes on 255 units, and
// those that they replace.
const maxKnown = 2 * MaxAcks * 256

// Decode is the function Decode.
func (m *Decoder) Decode(payload []byte) (Datagram, error) {
	d, p, err := decodeWrapper(payload)
	if err != nil {
		return Datagram{}, err
	}
	r := &d.Record
	r.Cluster = p.u64()
	r.Node = p.str(MaxNode)
	r.Boot = BootID(p.u64())
	r.Seq = p.uvarint()
	part := p.uvarint()
	if part >= MaxParts {
		p.fail("part %d; at most %d", part, MaxParts-1)
	}
	r.Part = uint16(part)
	flags := p.u8()
	r.Leaving = flags&flagLeaving != 0
	r.Interval = p.time()
	if p.err == nil && (r.Node == "" || r.Boot == 0 || r.Seq == 0) {
		p.fail("no node, boot id or sequence")
	}
	for p.err == nil && len(p.b) > 0 {
		section, s := p.next()
		if p.err != nil {
			break
		}
		if section == sectionClaim && r.Claims == nil {
			r.Claims = make([]Claim, 0, 1+p.count(sectionClaim))
		}
		if section == sectionClaim {
			m.claim(&s, r)
		} else {
			s.section(section, r)
		}
		p.err = s.err
	}
	if p.err != nil {
		return Datagram{}, p.err
	}
	if err := r.check(); err != nil {
		return Datagram{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return d, nil
}

func decodeWrapper(payload []byte) (d Datagram, p parser, err error) {
	if len(payload) < 4 || payload[0] != magic0 || payload[1] != magic1 {
		return d, p, ErrNotRecord
	}
	if payload[2] != codecVersion {
		return d, p, fmt.Errorf("%w %d; this program reads %d", ErrVersion, payload[2], codecVersion)
	}
	if len(payload) > MaxPayload {
		return d, p, fmt.Errorf("%w: %d bytes; at most %d", ErrMalformed, len(payload), MaxPayload)
	}
	p = parser{b: payload[4:]}
	switch payload[3] {
	case kindDirect:
	case kindRelayed:
		d.Via = p.str(MaxNode)
		d.Age = p.time()
		if p.err == nil && d.Via == "" {
			p.fail("relayed by nobody")
		}
	default:
		p.fail("kind %d", payload[3])
	}
	return d, p, p.err
}

// parser reads fields until the first error, and zeros after it.
type parser struct {
	b   []byte
	err error
}

// next reads the head of a section, and returns a parser of its body.
func (p *parser) next() (section byte, body parser) {
	section = p.u8()
	b := p.bytes(p.uvarint())
	return section, parser{b: b, err: p.err}
}

// count is how many sections of a kind follow.
func (p parser) count(kind byte) int {
	n := 0
	for p.err == nil && len(p.b) > 0 {
		if section, _ := p.next(); section == kind {
			n++
		}
	}
	return n
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
	}
}

// section reads one section's body into r. Sections of later versions are
// skipped.
func (p *parser) section(kind byte, r *Record) {
	switch kind {
	case sectionAck:
		if len(r.Acks) >= MaxAcks {
			p.fail("more than %d acknowledgements", MaxAcks)
			return
		}
		r.Acks = append(r.Acks, Ack{
			Boot:   BootID(p.u64()),
			Known:  p.uvarint(),
			Direct: p.uvarint(),
			Age:    p.time(),
		})
	case sectionAddrs:
		for p.err == nil && len(p.b) > 0 {
			if len(r.Addrs) >= MaxAddrs {
				p.fail("more than %d source addresses", MaxAddrs)
				return
			}
			r.Addrs = append(r.Addrs, p.addr())
		}
	case sectionMACs:
		for p.err == nil && len(p.b) > 0 {
			if len(r.MACs) >= MaxMACs {
				p.fail("more than %d hardware addresses", MaxMACs)
				return
			}
			var m MAC
			copy(m[:], p.bytes(uint64(len(m))))
			r.MACs = append(r.MACs, m)
		}
	case sectionFencing:
		if len(r.Fencing) >= MaxFenceWords {
			p.fail("more than %d words of fencing", MaxFenceWords)
			return
		}
		r.Fencing = append(r.Fencing, p.fenceWord())
	case sectionFacts:
		if len(p.b) > MaxFacts {
			p.fail("facts of %d bytes", len(p.b))
			return
		}
		r.Facts = append([]byte(nil), p.b...)
	case sectionRequest:
		r.Requests = append(r.Requests, Request{
			ID:      p.u64(),
			Unit:    p.str(MaxUnitName),
			Tenure:  p.tenureID(),
			Preempt: p.u8() != 0,
			Silence: Silence(p.optional()),
		})
	case sectionRefusal:
		r.Refusals = append(r.Refusals, Refusal{
			ID:     p.u64(),
			To:     BootID(p.u64()),
			Reason: p.str(MaxReason),
		})
	case sectionInvite:
		r.Invites = append(r.Invites, Invite{
			ID:   p.u64(),
			Unit: p.str(MaxUnitName),
			To:   p.str(MaxNode),
		})
	case sectionElectorate:
		r.Electorate = p.electorate()
	case sectionLeaseRequest:
		r.LeaseRequests = append(r.LeaseRequests, p.leaseRequest())
	case sectionGrant:
		r.Grants = append(r.Grants, p.grant())
	case sectionRelease:
		r.Releases = append(r.Releases, p.release())
	}
}

// claim reads a claim into r.
func (m *Decoder) claim(p *parser, r *Record) {
	flags := p.u8()
	state, heard := p.time(), p.time()
	var reserved, path, sight time.Duration
	if flags&claimReserved != 0 {
		reserved = p.time()
	}
	if flags&claimProbed != 0 {
		path, sight = p.time(), p.time()
	}
	known := m.known[claimBytes{flags, string(p.b)}]
	if known == nil {
		key := claimBytes{flags, string(p.b)}
		c := p.claim(flags)
		if p.err != nil {
			return
		}
		if m.known == nil || len(m.known) >= maxKnown {
			m.known = make(map[claimBytes]*Claim)
		}
		known, m.known[key] = &c, &c
	}
	r.Claims = append(r.Claims, *known)
	c := &r.Claims[len(r.Claims)-1]
	c.StateAge, c.HeardAge, c.Reserved.Age, c.PathAge, c.Sight.Age = state, heard, reserved, path, sight
}

// claim reads what stands behind the ages of a claim.
func (p *parser) claim(flags byte) Claim {
	var c Claim
	c.Unit = p.str(MaxUnitName)
	c.Policy = Policy(p.u8())
	c.State = State(p.u8())
	c.Wants = Want(p.u8())
	c.Eligible = flags&claimEligible != 0
	c.Released = flags&claimReleased != 0
	c.Tenure.Seq = p.uvarint()
	c.Tenure.Priority = p.u8()
	c.Tenure.Primary = p.addr()
	c.Priority = p.u8()
	c.Primary = p.addr()
	c.Heard = p.addr()
	c.HeardPriority = p.u8()
	if flags&claimReserved != 0 {
		c.Reserved.Request = p.u64()
		c.Reserved.For = BootID(p.u64())
		c.Reserved.Span = p.time()
	}
	if flags&claimYielded != 0 {
		c.Yielded = p.tenureID()
	}
	c.VIPHash = p.u64()
	n := p.uvarint()
	if n > MaxClaimVIPs {
		p.fail("claim of %d addresses", n)
		return c
	}
	if n > 0 {
		c.VIPs = make([]netip.Addr, 0, n)
		for range n {
			if p.err != nil {
				return c
			}
			c.VIPs = append(c.VIPs, p.addr())
		}
	}
	if flags&claimProbed != 0 {
		c.Path = PathState(p.u8())
		c.Sight = Sight{Kind: SightKind(p.u8()), Of: BootID(p.u64())}
	}
	switch {
	case p.err != nil:
	case c.Unit == "":
		p.fail("claim without a unit")
	case c.State > Fault:
		p.fail("unit %q in state %d", c.Unit, c.State)
	case c.Path > PathSuspended || c.Sight.Kind > SightStranger:
		p.fail("unit %q with path %d and sight %d", c.Unit, c.Path, c.Sight.Kind)
	case c.State == Master && c.Tenure.Seq == 0:
		p.fail("unit %q is MASTER without a tenure", c.Unit)
	case vipBytes(c.VIPs) > MaxClaimVIPs:
		p.fail("unit %q lists too many addresses", c.Unit)
	}
	return c
}

func (p *parser) tenureID() TenureID {
	return TenureID{BootID(p.u64()), p.uvarint()}
}

func (p *parser) bytes(n uint64) []byte {
	if p.err != nil || n > uint64(len(p.b)) {
		p.fail("%d bytes wanted, %d left", n, len(p.b))
		return nil
	}
	v := p.b[:n]
	p.b = p.b[n:]
	return v
}

func (p *parser) u8() uint8 {
	if b := p.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// optional reads a byte that is left out when it is 0.
func (p *parser) optional() uint8 {
	if len(p.b) == 0 {
		return 0
	}
	return p.u8()
}

func (p *parser) u64() uint64 {
	if b := p.bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (p *parser) uvarint() uint64 {
	if p.err != nil {
		return 0
	}
	v, n := binary.Uvarint(p.b)
	if n <= 0 {
		p.fail("bad number")
		return 0
	}
	p.b = p.b[n:]
	return v
}

func (p *parser) time() time.Duration {
	v := p.uvarint()
	if v > uint64(MaxAge/time.Microsecond) {
		p.fail("time of %d µs; at most %v", v, MaxAge)
		return 0
	}
	return time.Duration(v) * time.Microsecond
}

func (p *parser) str(most int) string {
	n := int(p.u8())
	if n > most {
		p.fail("name of %d bytes; at most %d", n, most)
		return ""
	}
	return string(p.bytes(uint64(n)))
}

func (p *parser) addr() netip.Addr {
	n := p.u8()
	if n == 0 {
		return netip.Addr{}
	}
	if n != 4 && n != 16 {
		p.fail("address of %d bytes", n)
		return netip.Addr{}
	}
	a, _ := netip.AddrFromSlice(p.bytes(uint64(n)))
	return a
}
