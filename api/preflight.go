package api

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hacluster/hacluster/cluster"
	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/internal/preflight"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// lookTime is how long a member may take to say on which networks it is, and
// lookAgain after how long it is asked once more: it may not have learnt of this
// node yet.
const (
	lookTime  = 4 * time.Second
	lookAgain = 100 * time.Millisecond
)

// preflight tests the networks of a node that is about to join, together with all
// members. What would keep it from joining is looked at twice, because a packet
// may be lost and an address be on its way.
func (s *Server) preflight(ctx context.Context, c cluster.Candidate) ([]preflight.Finding, error) {
	if c.Role == store.RoleWitness { // on no network of virtual addresses
		plan := preflight.Plan{Node: s.o.Node, Window: preflight.ShortWindow}
		return s.meet(ctx, c, plan, preflight.JudgeWitness)
	}
	file := revisionFile(c.Revision)
	plan, err := s.o.Examiner.PlanFor(file, c.Revision.Text)
	if err != nil {
		return []preflight.Finding{{
			Severity: preflight.Error, Check: "config", Node: s.o.Node,
			Summary: fmt.Sprintf("%s would not run here: %v", file, err),
			Remedy:  "this node will hold nothing until the configuration is changed",
		}}, nil
	}
	return s.meet(ctx, c, plan, preflight.JudgeJoin)
}

// meet carries a plan out together with the members, and judges what comes of it.
func (s *Server) meet(ctx context.Context, c cluster.Candidate, plan preflight.Plan, judge func(string, []preflight.Asked) []preflight.Finding) ([]preflight.Finding, error) {
	asked := s.look(ctx, c)
	for _, a := range asked {
		if a.Report == nil {
			continue
		}
		p := preflight.Peer{Name: a.Name}
		for _, n := range a.Report.Networks {
			if n.Source.IsValid() {
				p.Addrs = append(p.Addrs, n.Source)
			}
		}
		plan.Peers = append(plan.Peers, p)
	}
	found := judge(s.o.Node, s.examineWith(ctx, c, plan, asked))
	if len(preflight.Refusing(found)) > 0 {
		found = judge(s.o.Node, s.examineWith(ctx, c, plan, asked))
	}
	return found, ctx.Err()
}

// look asks each member on which networks it is.
func (s *Server) look(ctx context.Context, c cluster.Candidate) []preflight.Asked {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	return each(c.Members, func(a *preflight.Asked) error {
		for {
			err := ask(ctx, c.Conn, a, &pb.ExamineNodeRequest{Look: true}, grpc.WaitForReady(true))
			if err == nil || ctx.Err() != nil {
				return err
			}
			select {
			case <-time.After(lookAgain):
			case <-ctx.Done():
				return err
			}
		}
	})
}

// examineWith lets this node and those members that have answered examine.
func (s *Server) examineWith(ctx context.Context, c cluster.Candidate, plan preflight.Plan, looked []preflight.Asked) []preflight.Asked {
	ctx, cancel := context.WithTimeout(ctx, examineTime)
	defer cancel()
	plan.Session, plan.Trial = rand.Uint64(), c.Trial
	req := &pb.ExamineNodeRequest{Session: plan.Session, Window: durationpb.New(plan.Window)}
	guest := &pb.Guest{Name: s.o.Node}
	for _, n := range plan.Networks {
		if n.Source.IsValid() {
			guest.Addresses = append(guest.Addresses, n.Source.String())
		}
	}
	req.Guests = []*pb.Guest{guest}

	own := make(chan preflight.Report, 1)
	go func() { own <- s.o.Examiner.Examine(ctx, plan) }() // ends with its window
	out := each(c.Members, func(a *preflight.Asked) error {
		for _, l := range looked {
			if l.Name == a.Name && l.Report == nil {
				a.Err = l.Err
				return nil
			}
		}
		return ask(ctx, c.Conn, a, req)
	})
	r := <-own
	return append(out, preflight.Asked{Name: s.o.Node, Report: &r})
}

// each asks all members at once.
func each(members []store.Member, ask func(*preflight.Asked) error) []preflight.Asked {
	out := make([]preflight.Asked, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		out[i].Name = m.Name
		wg.Go(func() { // ends with its answer
			if err := ask(&out[i]); err != nil {
				out[i].Err = plain(err)
			}
		})
	}
	wg.Wait()
	return out
}

// ask lets one member examine, or look.
func ask(ctx context.Context, conn func(string) (grpc.ClientConnInterface, error), a *preflight.Asked, req *pb.ExamineNodeRequest, options ...grpc.CallOption) error {
	to, err := conn(a.Name)
	if err != nil {
		return err
	}
	resp, err := pb.NewAgentServiceClient(to).Examine(ctx, req, options...)
	if err != nil {
		return err
	}
	here := time.Now()
	r := &preflight.Report{}
	if err := json.Unmarshal(resp.GetReport(), r); err != nil {
		return fmt.Errorf("report of %s: %w", a.Name, err)
	}
	// The answer leaves at once, so the way back is all that the difference errs by.
	a.Report, a.Offset = r, r.At.Sub(here)
	return nil
}

// Examine implements pb.AgentServiceServer.
func (a agentService) Examine(ctx context.Context, req *pb.ExamineNodeRequest) (*pb.ExamineNodeResponse, error) {
	plan := a.s.o.Examiner.Plan()
	if req.GetLook() {
		return reportToProto(preflight.Report{Node: plan.Node, Networks: plan.Networks, At: time.Now()})
	}
	plan.Session = req.GetSession()
	if w := req.GetWindow().AsDuration(); w > 0 {
		plan.Window = min(max(w, preflight.ShortWindow), examineTime)
	}
	guests := req.GetGuests()
	if len(guests) == 0 {
		return reportToProto(a.s.o.Examiner.Examine(ctx, plan))
	}
	plan.Trial = a.s.o.Cluster.Trial()
	if a.s.witnesses(guests) {
		plan.Networks = nil // it is on none of them
	}
	called := make(chan bool, 1)
	go func() { called <- a.s.call(ctx, guests) }() // ends with callTime
	for _, g := range guests {
		p := preflight.Peer{Name: g.GetName()}
		for _, text := range g.GetAddresses() {
			if addr, err := netip.ParseAddr(text); err == nil { // one that cannot be read gets nothing
				p.Addrs = append(p.Addrs, addr)
			}
		}
		plan.Peers = append(plan.Peers, p)
	}
	r := a.s.o.Examiner.Examine(ctx, plan)
	r.Calls, r.Called = true, <-called
	return reportToProto(r)
}

// witnesses reports whether all guests are to be witnesses.
func (s *Server) witnesses(guests []*pb.Guest) bool {
	members := s.o.Cluster.Members()
	for _, g := range guests {
		if !slices.ContainsFunc(members, func(m store.Member) bool { return m.Name == g.GetName() && m.Role == store.RoleWitness }) {
			return false
		}
	}
	return true
}

// callTime is how long a node that is about to join may take to answer a member.
const callTime = 5 * time.Second

// call reports whether all guests answer this node at the address that they gave.
func (s *Server) call(ctx context.Context, guests []*pb.Guest) bool {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	for _, g := range guests {
		to, err := s.o.Cluster.Conn(g.GetName())
		if err != nil {
			return false
		}
		if _, err := pb.NewAgentServiceClient(to).Clock(ctx, &pb.ClockRequest{}, grpc.WaitForReady(true)); err != nil {
			return false
		}
	}
	return true
}

func reportToProto(r preflight.Report) (*pb.ExamineNodeResponse, error) {
	report, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return &pb.ExamineNodeResponse{Report: report}, nil
}
