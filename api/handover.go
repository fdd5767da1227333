package api

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

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
	vip, to, err := planHandover(observed.Judge(h.s.merged(ctx)), req.GetWhat(), req.GetTo())
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
	for sleep(ctx, 10*time.Millisecond) {
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
func planHandover(j observed.Judgement, what, to string) (observed.VIP, string, error) {
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
		return observed.VIP{}, "", refused("%s cannot take %s over; these can: %s", to, v.Unit, strings.Join(ready, ", "))
	}
	return v, to, nil
}
