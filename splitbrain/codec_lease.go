package splitbrain

import (
	"encoding/binary"
	"fmt"
)

// Flags of a lease request.
const leaseHeld = 1 << 0

func appendElectorate(b []byte, e *Electorate) []byte {
	b = binary.AppendUvarint(b, e.Epoch)
	for _, v := range e.Voters {
		b = appendString(b, v)
	}
	return b
}

func appendLeaseRequest(b []byte, r *LeaseRequest) []byte {
	b = appendString(b, r.Unit)
	var flags byte
	if r.Held {
		flags |= leaseHeld
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, r.Tenure)
	b = binary.AppendUvarint(b, uint64(r.Ballot))
	b = binary.AppendUvarint(b, r.Epoch)
	b = appendTime(b, r.Lease)
	b = append(b, r.Priority)
	return appendAddr(b, r.Primary)
}

func appendGrant(b []byte, g *Grant) []byte {
	b = appendString(b, g.Unit)
	b = binary.BigEndian.AppendUint64(b, uint64(g.To))
	b = append(b, byte(g.Answer))
	b = binary.AppendUvarint(b, g.Tenure)
	b = binary.AppendUvarint(b, uint64(g.Ballot))
	b = binary.AppendUvarint(b, g.Seq)
	b = binary.AppendUvarint(b, g.Epoch)
	b = appendTime(b, g.Lease)
	if g.Answer <= AnswerFreed {
		return b
	}
	b = binary.AppendUvarint(b, uint64(g.Highest))
	b = appendString(b, g.Holder)
	return appendTime(b, g.Left)
}

func appendRelease(b []byte, r *Release) []byte {
	b = appendString(b, r.Unit)
	b = binary.AppendUvarint(b, uint64(r.Ballot))
	b = binary.AppendUvarint(b, r.Seq)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Successor))
	return appendTime(b, r.Span)
}

func (p *parser) electorate() Electorate {
	e := Electorate{Epoch: p.uvarint()}
	if e.Epoch == 0 {
		p.fail("electorate without an epoch")
	}
	for p.err == nil && len(p.b) > 0 {
		if len(e.Voters) >= MaxVoters {
			p.fail("more than %d voters", MaxVoters)
			break
		}
		e.Voters = append(e.Voters, p.str(MaxNode))
	}
	return e
}

func (p *parser) ballot() Ballot {
	b := Ballot(p.uvarint())
	if b > MaxBallot {
		p.fail("ballot %d; at most %d", b, MaxBallot)
	}
	return b
}

func (p *parser) leaseRequest() LeaseRequest {
	var r LeaseRequest
	r.Unit = p.str(MaxUnitName)
	r.Held = p.u8()&leaseHeld != 0
	r.Tenure = p.uvarint()
	r.Ballot = p.ballot()
	r.Epoch = p.uvarint()
	r.Lease = p.time()
	r.Priority = p.u8()
	r.Primary = p.addr()
	return r
}

func (p *parser) grant() Grant {
	var g Grant
	g.Unit = p.str(MaxUnitName)
	g.To = BootID(p.u64())
	g.Answer = Answer(p.u8())
	g.Tenure = p.uvarint()
	g.Ballot = p.ballot()
	g.Seq = p.uvarint()
	g.Epoch = p.uvarint()
	g.Lease = p.time()
	if g.Answer <= AnswerFreed {
		return g
	}
	g.Highest = p.ballot()
	g.Holder = p.str(MaxNode)
	g.Left = p.time()
	return g
}

func (p *parser) release() Release {
	return Release{
		Unit:      p.str(MaxUnitName),
		Ballot:    p.ballot(),
		Seq:       p.uvarint(),
		Successor: BootID(p.u64()),
		Span:      p.time(),
	}
}

// checkLeases refuses what of policy quorum would not survive a round trip.
func (r *Record) checkLeases() error {
	unit := func(what, name string) error {
		if len(name) == 0 || len(name) > MaxUnitName {
			return fmt.Errorf("heartbeat of %s: %s for unit %q: a name has 1 to %d bytes", r.Node, what, name, MaxUnitName)
		}
		return nil
	}
	if err := r.Electorate.check(); err != nil {
		return fmt.Errorf("heartbeat of %s: %w", r.Node, err)
	}
	for i := range r.LeaseRequests {
		if err := unit("lease request", r.LeaseRequests[i].Unit); err != nil {
			return err
		}
	}
	for i := range r.Grants {
		g := &r.Grants[i]
		if err := unit("grant", g.Unit); err != nil {
			return err
		}
		if len(g.Holder) > MaxNode {
			return fmt.Errorf("heartbeat of %s: grant for unit %q names a holder of %d bytes; at most %d", r.Node, g.Unit, len(g.Holder), MaxNode)
		}
	}
	for i := range r.Releases {
		if err := unit("release", r.Releases[i].Unit); err != nil {
			return err
		}
	}
	return nil
}
