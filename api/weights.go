package api

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/observed/override"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

type weightsService struct {
	pb.UnimplementedWeightsServiceServer
	s *Server
}

// everyService stands for all services in requests about weights.
const everyService = "all"

// Give implements pb.WeightsServiceServer.
func (w weightsService) Give(ctx context.Context, req *pb.GiveWeightRequest) (*pb.Weights, error) {
	if err := w.s.weighs(); err != nil {
		return nil, err
	}
	if req.GetWeight() > override.MaxWeight {
		return nil, refused("weight %d is out of range; use 0 to %d", req.GetWeight(), override.MaxWeight)
	}
	if len(req.GetServers()) == 0 {
		return nil, refused("no real server is named")
	}
	all, err := w.s.allServices(ctx, serviceAsked(req.GetService()))
	if err != nil {
		return nil, err
	}
	which, err := serversAsked(all.GetServices(), req.GetServers())
	if err != nil {
		return nil, err
	}
	if !req.GetForce() {
		if err := keepsQuorum(all.GetServices(), which, req.GetWeight()); err != nil {
			return nil, err
		}
	}
	given := make([]override.Override, len(which))
	for i := range which {
		given[i] = override.Override{
			Which: which[i], Weight: req.GetWeight(), By: author(ctx, req.GetOnBehalf()), Reason: req.GetReason(), At: time.Now().UTC(),
		}
	}
	cmd, err := override.Give(given...)
	if err != nil {
		return nil, err
	}
	cmd.RequestID = store.NewRequestID()
	if _, err := w.s.o.Apply(ctx, "give real servers a weight", cmd); err != nil {
		return nil, err
	}
	return &pb.Weights{Weights: weightsToProto(given)}, nil
}

// Restore implements pb.WeightsServiceServer.
func (w weightsService) Restore(ctx context.Context, req *pb.RestoreWeightRequest) (*pb.Weights, error) {
	if err := w.s.weighs(); err != nil {
		return nil, err
	}
	// What is not configured any more can be ended as well, so it goes by what stands.
	standing := w.s.o.Overrides()
	if name := serviceAsked(req.GetService()); name != "" {
		known := []string{name}
		if all, err := w.s.allServices(ctx, name); err == nil {
			for _, s := range all.GetServices() {
				known = append(known, s.GetName())
			}
		}
		standing = slices.DeleteFunc(standing, func(o override.Override) bool { return !slices.Contains(known, o.Service) })
	}
	if len(req.GetServers()) > 0 {
		asked, err := parseServers(req.GetServers())
		if err != nil {
			return nil, err
		}
		standing = slices.DeleteFunc(standing, func(o override.Override) bool {
			return !slices.ContainsFunc(asked, func(a netip.AddrPort) bool { return sameServer(a, o.Server) })
		})
	}
	if len(standing) == 0 {
		return nil, notFound("haclusterctl services shows those that stand", "no weight was given by hand to %s", strings.TrimSpace(req.GetService()+" "+strings.Join(req.GetServers(), " ")))
	}
	which := make([]override.Which, len(standing))
	for i, o := range standing {
		which[i] = o.Which
	}
	cmd, err := override.End(which...)
	if err != nil {
		return nil, err
	}
	cmd.RequestID = store.NewRequestID()
	if _, err := w.s.o.Apply(ctx, "restore weights", cmd); err != nil {
		return nil, err
	}
	w.s.o.Logger.Info("weights given by hand have ended", "by", author(ctx, req.GetOnBehalf()), "servers", len(which))
	return &pb.Weights{Weights: weightsToProto(standing)}, nil
}

// weighs returns an error unless this node can give weights.
func (s *Server) weighs() error {
	if s.o.Cluster != nil {
		return s.member()
	}
	return nil
}

// serviceAsked is the name to look for; empty: all.
func serviceAsked(name string) string {
	if name == everyService {
		return ""
	}
	return name
}

func parseServers(texts []string) ([]netip.AddrPort, error) {
	list := make([]netip.AddrPort, len(texts))
	for i, text := range texts {
		var err error
		if list[i], err = parseServer(text); err != nil {
			return nil, refused("%q is no real server; use an address, or ADDRESS:PORT", text)
		}
	}
	return list, nil
}

// serversAsked are the servers of services that are meant by texts, each of which
// must mean one at least.
func serversAsked(services []*pb.Service, texts []string) (which []override.Which, err error) {
	asked, err := parseServers(texts)
	if err != nil {
		return nil, err
	}
	for i, a := range asked {
		found := false
		for _, s := range services {
			for _, r := range s.GetServers() {
				if server, err := parseServer(r.GetAddress()); err == nil && sameServer(a, server) {
					found = true
					if one := (override.Which{Service: s.GetName(), Server: server}); !slices.Contains(which, one) {
						which = append(which, one)
					}
				}
			}
		}
		if !found {
			return nil, notFound("haclusterctl services lists all", "no real server %s is in %s", texts[i], servicesMeant(services))
		}
	}
	return which, nil
}

// servicesMeant names services, as far as they can be named.
func servicesMeant(services []*pb.Service) string {
	if len(services) == 1 {
		return services[0].GetName()
	}
	return fmt.Sprintf("one of the %d services", len(services))
}

// keepsQuorum refuses weights by which a node would lose the quorum of a service: the
// sorry server would stand in, or all connections would end.
func keepsQuorum(services []*pb.Service, which []override.Which, weight uint32) error {
	var lost []string
	for _, s := range services {
		for _, v := range s.GetViews() {
			sum := v.GetWeight()
			for _, r := range s.GetServers() {
				server, err := parseServer(r.GetAddress())
				if err != nil || !slices.Contains(which, override.Which{Service: s.GetName(), Server: server}) {
					continue
				}
				for _, rv := range r.GetViews() {
					if rv.GetNode() == v.GetNode() && rv.GetUp() {
						sum += uint64(weight) - uint64(rv.GetWeight())
					}
				}
			}
			if v.GetQuorum() && sum < v.GetKeep() {
				lost = append(lost, fmt.Sprintf("%s on %s (weight %d, needs %d)", s.GetName(), v.GetNode(), sum, v.GetKeep()))
			}
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return refused("that takes away the quorum of %s; with --force it is done all the same", enumerate(lost))
}

func weightsToProto(list []override.Override) []*pb.WeightByHand {
	var out []*pb.WeightByHand
	for _, o := range list {
		out = append(out, &pb.WeightByHand{
			Service: o.Service, Server: serverName(o.Server), Weight: o.Weight, By: o.By, Reason: o.Reason, Since: timeToProto(o.At),
		})
	}
	return out
}
