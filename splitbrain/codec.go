package splitbrain

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// A datagram is
//
//	'H' 'A' version kind
//	relayed only: via (length, bytes), age
//	cluster (8), node (length, bytes), boot (8), sequence, part, flags (1), interval
//	sections: type (1), length, body
//
// with numbers as unsigned varints unless a width is given, and times in
// microseconds. In a claim, flags and ages stand in front: what follows is the same
// in the next record, mostly, and known by its bytes (Decoder). A reader skips
// sections that it does not know and ignores bytes behind the fields that it knows,
// so both can grow within a version.
const (
	magic0, magic1 = 'H', 'A'
	codecVersion   = 2

	kindDirect  = 0
	kindRelayed = 1

	flagLeaving = 1 << 0
)

// Section types.
const (
	sectionPadding = 0 // to be skipped

	sectionAck     = 1
	sectionAddrs   = 2
	sectionFacts   = 3
	sectionClaim   = 4
	sectionRequest = 5
	sectionRefusal = 6
	sectionInvite  = 7
	sectionMACs    = 8
	sectionFencing = 16

	sectionElectorate   = 9
	sectionLeaseRequest = 10
	sectionGrant        = 11
	sectionRelease      = 12
)

// wrapperSize is what a relay may add in front of another node's datagram.
const wrapperSize = 1 + MaxNode + binary.MaxVarintLen64

// Flags of a claim.
const (
	claimEligible = 1 << iota
	claimReleased
	claimReserved
	claimYielded
	claimProbed
)

// Errors of Decode that a caller may want to count apart.
var (
	ErrNotRecord = errors.New("heartbeat: not a record of this program")
	ErrVersion   = errors.New("heartbeat: record of an unknown version")
	ErrMalformed = errors.New("heartbeat: malformed record")
)

// Encode makes the datagrams of a record. Each carries the acknowledgements
// and as many claims as fit, and stands for itself; r.Part is ignored.
func Encode(r *Record) ([][]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	var (
		parts [][]byte
		cur   []byte
	)
	open := func() {
		cur = append(make([]byte, 0, MaxPayload), magic0, magic1, codecVersion, kindDirect)
		cur = appendBody(cur, r, uint16(len(parts)))
	}
	open()
	r.items(func(section byte, body []byte) {
		if len(cur)+1+binary.MaxVarintLen16+len(body)+minPadding > fullPart {
			parts = append(parts, pad(cur))
			open()
		}
		cur = appendSection(cur, section, body)
	})
	parts = append(parts, cur)
	if len(parts) > MaxParts {
		return nil, fmt.Errorf("heartbeat of %s: %d datagrams; at most %d", r.Node, len(parts), MaxParts)
	}
	return parts, nil
}

// fullPart is the length of all datagrams of a record but the last one: a relay
// can add its wrapper, and those of one length pass the network stack together.
const fullPart = MaxPayload - wrapperSize

// minPadding is the shortest section: a type and a length below 128.
const minPadding = 2

// pad fills a datagram up to fullPart with a section that nobody reads. Behind its
// length, there must be zeros.
func pad(b []byte) []byte {
	switch n := fullPart - len(b) - minPadding; {
	case n < 0:
		return b
	case n < 0x80:
		b = append(b, sectionPadding, byte(n))
	default:
		n-- // the length takes two bytes, also where one would do
		b = append(b, sectionPadding, byte(n)|0x80, byte(n>>7))
	}
	return b[:fullPart]
}

// EncodeRelay makes the datagram by which d.Via passes on the record, or part
// of one, that it received.
func EncodeRelay(d *Datagram) ([]byte, error) {
	if len(d.Via) == 0 || len(d.Via) > MaxNode {
		return nil, fmt.Errorf("heartbeat: relay as %q: a node name has 1 to %d bytes", d.Via, MaxNode)
	}
	r := &d.Record
	if err := r.check(); err != nil {
		return nil, err
	}
	b := append(make([]byte, 0, MaxPayload), magic0, magic1, codecVersion, kindRelayed)
	b = appendString(b, d.Via)
	b = appendTime(b, d.Age)
	b = appendBody(b, r, r.Part)
	r.items(func(section byte, body []byte) { b = appendSection(b, section, body) })
	if len(b) > MaxPayload {
		return nil, fmt.Errorf("heartbeat of %s: relay of %d bytes; at most %d", r.Node, len(b), MaxPayload)
	}
	return b, nil
}

// items gives the sections of r behind the acknowledgements, one after the
// other. A body is valid until the next one.
func (r *Record) items(add func(section byte, body []byte)) {
	item := make([]byte, 0, 512)
	for i := range r.Fencing {
		item = appendFenceWord(item[:0], &r.Fencing[i])
		add(sectionFencing, item)
	}
	for addrs := r.Addrs; len(addrs) > 0; {
		n := min(len(addrs), 16)
		item = item[:0]
		for _, a := range addrs[:n] {
			item = appendAddr(item, a)
		}
		add(sectionAddrs, item)
		addrs = addrs[n:]
	}
	if len(r.MACs) > 0 {
		item = item[:0]
		for _, m := range r.MACs {
			item = append(item, m[:]...)
		}
		add(sectionMACs, item)
	}
	if len(r.Facts) > 0 {
		add(sectionFacts, r.Facts)
	}
	if r.Electorate.Epoch != 0 {
		item = appendElectorate(item[:0], &r.Electorate)
		add(sectionElectorate, item)
	}
	for i := range r.LeaseRequests {
		item = appendLeaseRequest(item[:0], &r.LeaseRequests[i])
		add(sectionLeaseRequest, item)
	}
	for i := range r.Grants {
		item = appendGrant(item[:0], &r.Grants[i])
		add(sectionGrant, item)
	}
	for i := range r.Releases {
		item = appendRelease(item[:0], &r.Releases[i])
		add(sectionRelease, item)
	}
	for i := range r.Requests {
		item = appendRequest(item[:0], &r.Requests[i])
		add(sectionRequest, item)
	}
	for i := range r.Refusals {
		item = appendRefusal(item[:0], &r.Refusals[i])
		add(sectionRefusal, item)
	}
	for i := range r.Invites {
		item = appendInvite(item[:0], &r.Invites[i])
		add(sectionInvite, item)
	}
	for i := range r.Claims {
		item = appendClaim(item[:0], &r.Claims[i])
		add(sectionClaim, item)
	}
}

func appendSection(b []byte, section byte, body []byte) []byte {
	b = append(b, section)
	b = binary.AppendUvarint(b, uint64(len(body)))
	return append(b, body...)
}

func appendBody(b []byte, r *Record, part uint16) []byte {
	b = binary.BigEndian.AppendUint64(b, r.Cluster)
	b = appendString(b, r.Node)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Boot))
	b = binary.AppendUvarint(b, r.Seq)
	var flags byte
	if r.Leaving {
		flags |= flagLeaving
	}
	b = binary.AppendUvarint(b, uint64(part))
	b = append(b, flags)
	b = appendTime(b, r.Interval)
	for i := range r.Acks {
		a := &r.Acks[i]
		var body [8 + 3*binary.MaxVarintLen64]byte
		e := binary.BigEndian.AppendUint64(body[:0], uint64(a.Boot))
		e = binary.AppendUvarint(e, a.Known)
		e = binary.AppendUvarint(e, a.Direct)
		e = appendTime(e, a.Age)
		b = appendSection(b, sectionAck, e)
	}
	return b
}

func appendClaim(b []byte, c *Claim) []byte {
	var flags byte
	if c.Eligible {
		flags |= claimEligible
	}
	if c.Released {
		flags |= claimReleased
	}
	if c.Reserved != (Reservation{}) {
		flags |= claimReserved
	}
	if c.Yielded != (TenureID{}) {
		flags |= claimYielded
	}
	if c.probed() {
		flags |= claimProbed
	}
	b = append(b, flags)
	b = appendTime(b, c.StateAge)
	b = appendTime(b, c.HeardAge)
	if flags&claimReserved != 0 {
		b = appendTime(b, c.Reserved.Age)
	}
	if flags&claimProbed != 0 {
		b = appendTime(b, c.PathAge)
		b = appendTime(b, c.Sight.Age)
	}
	b = appendString(b, c.Unit)
	b = append(b, byte(c.Policy), byte(c.State), byte(c.Wants))
	b = binary.AppendUvarint(b, c.Tenure.Seq)
	b = append(b, c.Tenure.Priority)
	b = appendAddr(b, c.Tenure.Primary)
	b = append(b, c.Priority)
	b = appendAddr(b, c.Primary)
	b = appendAddr(b, c.Heard)
	b = append(b, c.HeardPriority)
	if flags&claimReserved != 0 {
		b = binary.BigEndian.AppendUint64(b, c.Reserved.Request)
		b = binary.BigEndian.AppendUint64(b, uint64(c.Reserved.For))
		b = appendTime(b, c.Reserved.Span)
	}
	if flags&claimYielded != 0 {
		b = appendTenureID(b, c.Yielded)
	}
	b = binary.BigEndian.AppendUint64(b, c.VIPHash)
	b = binary.AppendUvarint(b, uint64(len(c.VIPs)))
	for _, a := range c.VIPs {
		b = appendAddr(b, a)
	}
	if flags&claimProbed != 0 {
		b = append(b, byte(c.Path), byte(c.Sight.Kind))
		b = binary.BigEndian.AppendUint64(b, uint64(c.Sight.Of))
	}
	return b
}

// probed reports whether the author's probes show anything.
func (c *Claim) probed() bool {
	return c.Path != PathUnknown || c.PathAge != 0 || c.Sight != (Sight{})
}

func appendRequest(b []byte, r *Request) []byte {
	b = binary.BigEndian.AppendUint64(b, r.ID)
	b = appendString(b, r.Unit)
	b = appendTenureID(b, r.Tenure)
	var preempt byte
	if r.Preempt {
		preempt = 1
	}
	b = append(b, preempt)
	if r.Silence == SilenceNone {
		return b
	}
	return append(b, byte(r.Silence))
}

func appendRefusal(b []byte, r *Refusal) []byte {
	b = binary.BigEndian.AppendUint64(b, r.ID)
	b = binary.BigEndian.AppendUint64(b, uint64(r.To))
	return appendString(b, r.Reason)
}

func appendInvite(b []byte, r *Invite) []byte {
	b = binary.BigEndian.AppendUint64(b, r.ID)
	b = appendString(b, r.Unit)
	return appendString(b, r.To)
}

func appendTenureID(b []byte, t TenureID) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(t.Boot))
	return binary.AppendUvarint(b, t.Seq)
}

func appendString(b []byte, s string) []byte {
	return append(append(b, byte(len(s))), s...)
}

// appendTime writes a duration in microseconds, cut to 0 … MaxAge.
func appendTime(b []byte, d time.Duration) []byte {
	return binary.AppendUvarint(b, uint64(min(max(d, 0), MaxAge)/time.Microsecond))
}

func appendAddr(b []byte, a netip.Addr) []byte {
	switch {
	case !a.IsValid():
		return append(b, 0)
	case a.Is4():
		v := a.As4()
		return append(append(b, 4), v[:]...)
	default:
		v := a.As16()
		return append(append(b, 16), v[:]...)
	}
}

// check refuses what would not survive a round trip.
func (r *Record) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("heartbeat of %s: "+format, append([]any{r.Node}, args...)...)
	}
	switch {
	case len(r.Node) == 0 || len(r.Node) > MaxNode:
		return bad("a node name has 1 to %d bytes, this one %d", MaxNode, len(r.Node))
	case len(r.Facts) > MaxFacts:
		return bad("facts have %d bytes; at most %d", len(r.Facts), MaxFacts)
	case len(r.Acks) > MaxAcks:
		return bad("%d members are acknowledged; at most %d", len(r.Acks), MaxAcks)
	case len(r.MACs) > MaxMACs:
		return bad("%d hardware addresses; at most %d", len(r.MACs), MaxMACs)
	case len(r.Addrs) > MaxAddrs:
		return bad("%d source addresses; at most %d", len(r.Addrs), MaxAddrs)
	}
	for i := range r.Claims {
		c := &r.Claims[i]
		if len(c.Unit) == 0 || len(c.Unit) > MaxUnitName {
			return bad("unit %q: a name has 1 to %d bytes", c.Unit, MaxUnitName)
		}
		if vipBytes(c.VIPs) > MaxClaimVIPs {
			return bad("unit %s: %d addresses listed; at most %d bytes", c.Unit, len(c.VIPs), MaxClaimVIPs)
		}
	}
	if err := checkFencing(r.Fencing); err != nil {
		return bad("%w", err)
	}
	for i := range r.Requests {
		if n := len(r.Requests[i].Unit); n == 0 || n > MaxUnitName {
			return bad("request %d: a unit name has 1 to %d bytes", i, MaxUnitName)
		}
	}
	for i := range r.Refusals {
		if len(r.Refusals[i].Reason) > MaxReason {
			return bad("refusal %d: a reason has at most %d bytes", i, MaxReason)
		}
	}
	for i := range r.Invites {
		v := &r.Invites[i]
		if len(v.Unit) == 0 || len(v.Unit) > MaxUnitName || len(v.To) == 0 || len(v.To) > MaxNode {
			return bad("invitation %d: unit %q to %q: names of 1 to %d and 1 to %d bytes", i, v.Unit, v.To, MaxUnitName, MaxNode)
		}
	}
	return r.checkLeases()
}

func vipBytes(addrs []netip.Addr) int {
	n := 0
	for _, a := range addrs {
		n += 1 + a.BitLen()/8
	}
	return n
}
