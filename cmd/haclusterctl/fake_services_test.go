package main

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// web is a service that lb01 and lb02 check, and lb03 has suspended: what that one
// says of its servers is old.
func web() *pb.Service {
	server := func(address string, active uint32) *pb.RealServer {
		r := &pb.RealServer{Address: address, Method: "DR", State: pb.RealServer_STATE_UP, Reason: "TCP_CHECK " + address + ": connected"}
		for i, node := range []string{"lb01", "lb02", "lb03"} {
			v := &pb.RealServerView{Node: node, Up: true, Known: true, Since: at(2), Reason: r.Reason, ConfiguredWeight: 10, Weight: 10}
			if i == 0 {
				v.ActiveConnections, v.InactiveConnections = active, 2*active
				v.Counters = counters(uint64(active) * 1000)
			}
			r.Views = append(r.Views, v)
		}
		return r
	}
	s := &pb.Service{
		Name: "tcp 192.0.2.100:80", Keys: []string{"tcp 192.0.2.100:80"}, Scheduler: "wlc", State: pb.ServiceState_SERVICE_STATE_OK, Reason: "2 servers up",
		Servers: []*pb.RealServer{server("10.0.0.1:80", 7), server("10.0.0.2:80", 8)},
	}
	old := s.Servers[0].Views[2]
	old.Up, old.Weight, old.Since, old.Reason = false, 0, at(0), "TCP_CHECK 10.0.0.1:80: connect: connection refused"
	for _, node := range []string{"lb01", "lb02", "lb03"} {
		s.Views = append(s.Views, &pb.ServiceView{
			Node: node, Quorum: true, Since: at(1), Reason: "the servers that are up have weight 20, quorum is 2 with hysteresis 1",
			Weight: 20, Gain: 3, Keep: 1, Suspended: node == "lb03",
		})
	}
	s.Views[0].Counters = counters(15_000)
	return s
}

// counters are of so many connections.
func counters(n uint64) *pb.Counters {
	return &pb.Counters{
		Connections: n, InPackets: 10 * n, OutPackets: 0, InBytes: 1000 * n, OutBytes: 0,
		ConnectionsPerSecond: n / 1000, InPacketsPerSecond: n / 100, InBytesPerSecond: n,
	}
}

// messy is web beside what the kernel of lb01 refuses, what others put there, and a
// server that is on its way out.
func messy() *pb.Services {
	return &pb.Services{
		State: pb.ServiceState_SERVICE_STATE_DEGRADED, Reason: "not all is taken by the kernel of lb01", Time: at(30), Observer: "lb01", Services: []*pb.Service{web()},
		Nodes: []*pb.ServicesNode{{
			Name: "lb01", Answered: true, RefusedTotal: 22, Refused: []string{"add tcp 192.0.2.7:80 fo: no such file or directory"},
			ForeignTotal: 2, Foreign: []string{"tcp 192.0.2.8:80", "tcp 192.0.2.8:80 server 10.0.0.1:80"},
			LeavingTotal: 1, Leaving: []*pb.LeavingServer{{Service: "tcp 192.0.2.100:80", Server: "10.0.0.9:80", ActiveConnections: 3, InactiveConnections: 1, Until: at(90)}},
		}},
	}
}

// torn is web where lb02 alone sees the second server down, and mail, which has
// no server left.
func torn() *pb.Services {
	s := web()
	s.State, s.Reason = pb.ServiceState_SERVICE_STATE_PARTIAL, "lb02 sees 10.0.0.2:80 down, lb01 sees it up"
	r := s.Servers[1]
	r.State, r.Reason = pb.RealServer_STATE_PARTIAL, "lb02 sees it down, lb01 sees it up: TCP_CHECK 10.0.0.2:80: connect: no route to host"
	v := r.Views[1]
	v.Up, v.Weight, v.Since, v.Reason = false, 0, at(20), "TCP_CHECK 10.0.0.2:80: connect: no route to host"
	s.Servers[0], s.Servers[1] = s.Servers[1], s.Servers[0]

	refused := "TCP_CHECK 10.0.0.3:25: connect: connection refused"
	mail := &pb.Service{
		Name: "tcp group mail", Keys: []string{"tcp 192.0.2.101:25", "tcp 192.0.2.102:25"}, Scheduler: "rr", State: pb.ServiceState_SERVICE_STATE_NO_QUORUM,
		Reason: "the servers that are up have weight 0, quorum is 1; the sorry server 10.0.0.99:25 stands in; not configured on lb02 and lb03",
		Views:  []*pb.ServiceView{{Node: "lb01", Since: at(5), Reason: "the servers that are up have weight 0, quorum is 1", Gain: 1, Keep: 1, Sorry: "10.0.0.99:25"}},
		Servers: []*pb.RealServer{{
			Address: "10.0.0.3:25", Method: "NAT", State: pb.RealServer_STATE_DOWN, Reason: refused,
			Views: []*pb.RealServerView{{Node: "lb01", Known: true, Since: at(5), Reason: refused, ConfiguredWeight: 1, InactiveConnections: 1}},
		}},
	}
	return &pb.Services{
		State: pb.ServiceState_SERVICE_STATE_NO_QUORUM, Reason: "1 of 2 services without quorum (tcp group mail); one partial failure; 1 of 3 servers down; no answer from lb04",
		Time: at(30), Observer: "lb01", Services: []*pb.Service{mail, s},
		PartialFailures: []*pb.PartialFailure{{
			Service: "tcp 192.0.2.100:80", Server: "10.0.0.2:80", Nodes: []string{"lb02"},
			Summary: "lb02 sees 10.0.0.2:80 down, lb01 sees it up", Reason: v.Reason, Since: at(20),
		}},
		Nodes: []*pb.ServicesNode{{Name: "lb01", Answered: true}, {Name: "lb02", Answered: true}, {Name: "lb03", Answered: true}, {Name: "lb04", Why: "it is not heard"}},
	}
}

func (v virtualServices) picture() *pb.Services {
	switch {
	case v.d.is("torn"):
		return torn()
	case v.d.is("busy"):
		return drained(3)
	case v.d.is("idle"):
		return drained(0)
	case v.d.is("messy"):
		return messy()
	case v.d.is("broken"):
		return &pb.Services{State: pb.ServiceState_SERVICE_STATE_NO_QUORUM, Reason: "failed on lb01", Time: at(30),
			Nodes: []*pb.ServicesNode{{Name: "lb01", Answered: true, Failed: true, Why: "the kernel has no IPVS"}}}
	case v.d.is("quiet"):
		return &pb.Services{State: pb.ServiceState_SERVICE_STATE_OK, Reason: "no virtual services", Time: at(30),
			Nodes: []*pb.ServicesNode{{Name: "lb01", Answered: true, Why: "no virtual_server is configured for it"}}}
	}
	return &pb.Services{State: pb.ServiceState_SERVICE_STATE_OK, Reason: "one service with quorum, 2 servers up", Time: at(30), Observer: "lb01",
		Services: []*pb.Service{web()}, Nodes: []*pb.ServicesNode{{Name: "lb01", Answered: true}, {Name: "lb02", Answered: true}, {Name: "lb03", Answered: true}}}
}

func (v virtualServices) List(_ context.Context, req *pb.ListServicesRequest) (*pb.Services, error) {
	if req.GetName() == "192.0.2.9" {
		return nil, refusal(codes.NotFound, pb.ErrorReason_ERROR_REASON_NOT_FOUND, "no virtual service 192.0.2.9 is known", "haclusterctl services lists all")
	}
	return v.picture(), nil
}

func (v virtualServices) Watch(_ *pb.WatchServicesRequest, stream grpc.ServerStreamingServer[pb.Services]) error {
	stream.Send(v.picture())
	return stream.Send(v.picture()) // a new picture, and nothing new in it
}

func (v virtualServices) ListConnections(_ context.Context, req *pb.ListConnectionsRequest) (*pb.Connections, error) {
	all := &pb.Connections{Nodes: []*pb.ConnectionsNode{{Name: "lb01", Answered: true, Total: 1}, {Name: "lb02", Why: "it is not heard"}}}
	c := &pb.Connection{
		Node: "lb01", Protocol: "tcp", Client: "203.0.113.7:50000", Virtual: "192.0.2.100:80", Server: "10.0.0.1:80", State: "ESTABLISHED", Expires: durationpb.New(899 * time.Second),
	}
	switch {
	case req.GetName() == "192.0.2.100:80" && req.GetServer() == "10.0.0.1" && req.GetClient() == "203.0.113.0/24" && req.GetLimit() == 1:
		all.Nodes[0].Total = 7
		all.Connections = append(all.Connections, c)
	case req.GetName() == "" && req.GetLimit() == 1000:
		all.Connections = append(all.Connections, c)
	default:
		all.Nodes[0].Total = 0
	}
	return all, nil
}
