package api

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/hacluster/hacluster/internal/kclock"
	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/director"
	"github.com/hacluster/hacluster/observed/override"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// servicesAnswers is how long a node may take to tell of its services, which may
// be ten thousand. One that is not heard has silentAnswers.
const servicesAnswers = 2 * time.Second

type servicesService struct {
	pb.UnimplementedServicesServiceServer
	s *Server
}

// List implements pb.ServicesServiceServer.
func (v servicesService) List(ctx context.Context, req *pb.ListServicesRequest) (*pb.Services, error) {
	if req.GetLocal() {
		return v.s.ownServices(ctx, req.GetName(), req.GetVerdicts()), nil
	}
	return v.s.allServices(ctx, req.GetName())
}

// Watch implements pb.ServicesServiceServer.
func (v servicesService) Watch(req *pb.WatchServicesRequest, stream grpc.ServerStreamingServer[pb.Services]) error {
	interval := time.Duration(req.GetIntervalMs()) * time.Millisecond
	if interval == 0 {
		interval = time.Second
	}
	for {
		all, err := v.s.allServices(stream.Context(), req.GetName())
		if err != nil {
			return err
		}
		if err := stream.Send(all); err != nil {
			return err
		}
		if !kclock.Sleep(stream.Context(), max(interval, 100*time.Millisecond)) {
			return nil
		}
	}
}

// allServices asks every member, and judges.
func (s *Server) allServices(ctx context.Context, name string) (*pb.Services, error) {
	all := mergeServices(s.askServices(ctx, name))
	all.Time, all.Observer = timeToProto(time.Now()), s.o.Node
	all.Weights = s.weightsByHand(name, all.Services)
	if name != "" && len(all.Services) == 0 {
		return nil, notFound("haclusterctl services lists all", "no virtual service %s is known%s", name, untold(all.Nodes))
	}
	return all, nil
}

// weightsByHand are those that stand, with a name only those of services.
func (s *Server) weightsByHand(name string, services []*pb.Service) []*pb.WeightByHand {
	if s.o.Overrides == nil {
		return nil
	}
	standing := s.o.Overrides()
	if name != "" {
		standing = slices.DeleteFunc(standing, func(o override.Override) bool {
			return !slices.ContainsFunc(services, func(v *pb.Service) bool { return v.GetName() == o.Service })
		})
	}
	return weightsToProto(standing)
}

// askServices asks this node and all other members at once. Of who does not answer
// it has the reason.
func (s *Server) askServices(ctx context.Context, name string) []*pb.Services {
	return askEach(ctx, s, servicesAnswers, question[*pb.Services]{
		own: func(ctx context.Context) *pb.Services { return s.ownServices(ctx, name, false) },
		other: func(ctx context.Context, node string, conn grpc.ClientConnInterface, options ...grpc.CallOption) (*pb.Services, error) {
			answer, err := pb.NewServicesServiceClient(conn).List(ctx, &pb.ListServicesRequest{Name: name, Local: true}, options...)
			picture, _ := s.o.Hub.Latest()
			if n, ok := picture.Node(node); ok && n.ClockAhead != nil && err == nil {
				shiftServices(answer, -*n.ClockAhead) // into this node's time
			}
			return answer, err
		},
		none: unanswered,
	})
}

// unanswered stands for the answer of a node that gave none.
func unanswered(node, why string) *pb.Services {
	return &pb.Services{Nodes: []*pb.ServicesNode{{Name: node, Why: why}}}
}

// ownServices are those that this node runs, as it sees them; verdicts: without what
// the kernel counts.
func (s *Server) ownServices(ctx context.Context, name string, verdicts bool) *pb.Services {
	ctx, cancel := context.WithTimeout(ctx, servicesAnswers)
	defer cancel()
	node := &pb.ServicesNode{Name: s.o.Node, Answered: true}
	if s.o.Services == nil {
		node.Why = "it runs no load balancer: no virtual_server is configured for it, or its daemon does not run them"
		return &pb.Services{Nodes: []*pb.ServicesNode{node}}
	}
	services := s.o.Services
	if verdicts && s.o.Verdicts != nil {
		services = s.o.Verdicts
	}
	list, err := services(ctx)
	if s.o.Table != nil {
		tableToProto(node, s.o.Table())
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		node.Failed, node.Why = true, "its load balancer does not answer within "+servicesAnswers.String()
	case err != nil:
		node.Failed, node.Why = true, strings.ReplaceAll(err.Error(), "\n", "; ")
	case len(list) == 0:
		node.Why = "no virtual_server is configured for it"
	}
	own := &pb.Services{Nodes: []*pb.ServicesNode{node}}
	for i := range list {
		if isService(&list[i], name) {
			own.Services = append(own.Services, serviceToProto(s.o.Node, &list[i]))
		}
	}
	return own
}

// WhyDown asks another member why it sees a real server of a service down.
func (s *Server) WhyDown(ctx context.Context, node, service string, server netip.AddrPort) (string, error) {
	conn, err := s.o.Cluster.Conn(node)
	if err != nil {
		return "", err
	}
	answer, err := pb.NewServicesServiceClient(conn).List(ctx, &pb.ListServicesRequest{Name: service, Local: true, Verdicts: true})
	if err != nil {
		return "", errors.New(plain(err))
	}
	for _, v := range answer.GetServices() {
		for _, r := range v.GetServers() {
			if v.GetName() == service && r.GetAddress() == serverName(server) && len(r.GetViews()) > 0 {
				return r.GetViews()[0].GetReason(), nil
			}
		}
	}
	return "", fmt.Errorf("%s has no real server %s in %s any more", node, serverName(server), service)
}

// isService says whether a service is asked for: by its name, with or without the
// protocol, or by an address, with or without the port.
func isService(s *director.ServiceStatus, name string) bool {
	if _, bare, _ := strings.Cut(s.Name, " "); name == "" || name == s.Name || name == bare {
		return true
	}
	return slices.ContainsFunc(s.Keys, func(k lvs.Key) bool {
		if k.Mark != 0 {
			return name == k.String()
		}
		at, port := k.Address.Addr().String(), k.Address.Port()
		return name == k.String() || name == k.Address.String() || name == at || name == fmt.Sprintf("%s %d", at, port)
	})
}

// untold names the nodes that did not tell of their services; empty when all did.
func untold(nodes []*pb.ServicesNode) string {
	var text strings.Builder
	for _, n := range nodes {
		switch {
		case !n.GetAnswered():
			text.WriteString("; " + n.GetName() + " did not answer: " + n.GetWhy())
		case n.GetFailed():
			text.WriteString("; " + n.GetName() + " failed: " + n.GetWhy())
		}
	}
	return text.String()
}
