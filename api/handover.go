package api

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
	"github.com/hacluster/hacluster/observed"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// handoverTime is how long a hand-over may take before it counts as refused.
const handoverTime = 10 * time.Second

type handoverService struct {
	pb.UnimplementedHandoverServiceServer
	s *Server
}

// Handover implements pb.HandoverServiceServer.
func (h handoverService) Handover(ctx context.Context, req *pb.HandoverRequest) (*pb.HandoverResponse, error) {
	if err := h.s.member(); err != nil {
		return nil, err
	}
	vip, to, err := planHandover(h.s.merged(ctx), req.GetWhat(), req.GetTo())
	if err != nil {
		return nil, err
	}
	from := vip.Holders[0]
	resp := &pb.HandoverResponse{Unit: vip.Unit, From: from, To: to}
	if from == to {
		return resp, nil
	}
	start := time.Now()
	h.s.o.Arbiter.RequestHandover(vip.Unit, to)
	ctx, cancel := context.WithTimeout(ctx, handoverTime)
	defer cancel()
	for kclock.Sleep(ctx, 10*time.Millisecond) {
		for _, v := range observed.Judge(h.s.merged(ctx)).VIPs {
			if v.Unit == vip.Unit && slices.Equal(v.Holders, []string{to}) {
				resp.Took = durationToProto(time.Since(start))
				return resp, nil
			}
		}
	}
	r := refused("handover of %s: %s did not take it from %s within %s", vip.Unit, to, from, handoverTime)
	r.remedy = "haclusterctl events --unit " + vip.Unit + " says why"
	return nil, r
}

// planHandover finds what is to move, and where to.
func planHandover(s observed.Snapshot, what, to string) (observed.VIP, string, error) {
	j := observed.Judge(s)
	addr, _ := netip.ParseAddr(what)
	if p, err := netip.ParsePrefix(what); err == nil {
		addr = p.Addr()
	}
	i := slices.IndexFunc(j.VIPs, func(v observed.VIP) bool {
		return v.Unit == what || v.Instance == what || addr.IsValid() && v.Address.Addr() == addr
	})
	if i < 0 {
		return observed.VIP{}, "", notFound("haclusterctl vips lists what there is", "there is no unit, instance or virtual address %s", what)
	}
	v := j.VIPs[i]
	if len(v.Holders) != 1 {
		return observed.VIP{}, "", refused("%s is %s: nothing can be handed over", v.Unit, v.Reason)
	}
	if to == v.Holders[0] {
		return v, to, nil
	}
	if _, known := s.Node(to); to != "" && !known {
		return observed.VIP{}, "", noNode(to, s)
	}
	var ready []string
	for _, c := range v.Candidates {
		if c.State.String() == "BACKUP" {
			ready = append(ready, c.Node)
		}
	}
	switch {
	case len(ready) == 0:
		return observed.VIP{}, "", refused("no node can take %s over: %s", v.Unit, v.Reason)
	case to == "":
		return v, ready[0], nil
	case !slices.Contains(ready, to):
		return observed.VIP{}, "", refused("%s cannot take %s over: %s; these can: %s", to, v.Unit, whyNot(s, to, v.Unit), strings.Join(ready, ", "))
	}
	return v, to, nil
}

// whyNot says why a member cannot take a unit over.
func whyNot(s observed.Snapshot, node, unit string) string {
	n, _ := s.Node(node)
	u, has := n.Unit(unit)
	switch {
	case !n.Alive && n.LastSeen.IsZero():
		return "it was never heard"
	case !n.Alive:
		return fmt.Sprintf("it was last heard %s ago", s.Time.Sub(n.LastSeen).Round(100*time.Millisecond))
	case n.Role == observed.RoleWitness:
		return "it is a witness, and holds nothing"
	case !has:
		return "it does not run it"
	case u.Reason != "":
		return fmt.Sprintf("it is %s (%s)", u.State, u.Reason)
	}
	return fmt.Sprintf("it is %s", u.State)
}

// noNode refuses the name of a node that is no member, and names those that are.
func noNode(name string, s observed.Snapshot) error {
	var names []string
	for _, n := range s.Nodes {
		names = append(names, n.Name)
	}
	return notFound("", "there is no node %s; the nodes are %s", name, strings.Join(names, ", "))
}
