package api

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hacluster/hacluster/lvs"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

const (
	// connectionsAnswers is how long a node may take to read its table of
	// connections, of which there may be a million.
	connectionsAnswers = 10 * time.Second
	// fewConnections is how many a node lists if nothing else is asked for,
	// mostConnections how many it lists at most.
	fewConnections, mostConnections = 1000, 20_000
)

// ListConnections implements pb.ServicesServiceServer.
func (v servicesService) ListConnections(ctx context.Context, req *pb.ListConnectionsRequest) (*pb.Connections, error) {
	f, err := newConnectionFilter(req)
	if err != nil {
		return nil, err
	}
	if req.GetLocal() {
		return v.s.ownConnections(ctx, f), nil
	}
	if req.GetName() != "" {
		if _, err := v.s.allServices(ctx, req.GetName()); err != nil {
			return nil, err // there is no such service
		}
	}
	own := &pb.ListConnectionsRequest{Name: req.GetName(), Server: req.GetServer(), Client: req.GetClient(), Limit: req.GetLimit(), Local: true}
	all := &pb.Connections{}
	for _, answer := range askEach(ctx, v.s, connectionsAnswers, question[*pb.Connections]{
		own: func(ctx context.Context) *pb.Connections { return v.s.ownConnections(ctx, f) },
		other: func(ctx context.Context, _ string, conn grpc.ClientConnInterface, options ...grpc.CallOption) (*pb.Connections, error) {
			return pb.NewServicesServiceClient(conn).ListConnections(ctx, own, options...)
		},
		none: func(node, why string) *pb.Connections {
			return &pb.Connections{Nodes: []*pb.ConnectionsNode{{Name: node, Why: why}}}
		},
	}) {
		all.Nodes = append(all.Nodes, answer.GetNodes()...)
		all.Connections = append(all.Connections, answer.GetConnections()...)
	}
	return all, nil
}

// connectionFilter is which connections are asked for.
type connectionFilter struct {
	name   string
	server netip.AddrPort // of port 0: any port; not valid: any server
	client netip.Prefix   // not valid: any client
	limit  int
}

func newConnectionFilter(req *pb.ListConnectionsRequest) (connectionFilter, error) {
	f := connectionFilter{name: req.GetName(), limit: int(req.GetLimit())}
	if f.limit == 0 {
		f.limit = fewConnections
	}
	if f.limit > mostConnections {
		return f, refused("limit %d is out of range; use at most %d", f.limit, mostConnections)
	}
	var err error
	if text := req.GetServer(); text != "" {
		if f.server, err = parseServer(text); err != nil {
			return f, refused("%q is no real server; use an address, or ADDRESS:PORT", text)
		}
	}
	if text := req.GetClient(); text != "" {
		if f.client, err = netip.ParsePrefix(text); err != nil {
			var addr netip.Addr
			if addr, err = netip.ParseAddr(text); err != nil {
				return f, refused("%q is no client; use an address or a prefix, such as 203.0.113.0/24", text)
			}
			f.client = netip.PrefixFrom(addr, addr.BitLen())
		}
	}
	return f, nil
}

// parseServer reads an address with or without a port.
func parseServer(text string) (netip.AddrPort, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(addr, 0), nil
	}
	return netip.ParseAddrPort(text)
}

// takes reports whether a connection is asked for, whatever service it is of.
func (f connectionFilter) takes(c lvs.Connection) bool {
	return (!f.client.IsValid() || f.client.Contains(c.Client.Addr())) && (!f.server.IsValid() || sameServer(f.server, c.Server))
}

// sameServer reports whether a server is the one that is asked for, of port 0 at any
// port.
func sameServer(asked, server netip.AddrPort) bool {
	return asked.Addr() == server.Addr() && (asked.Port() == 0 || asked.Port() == server.Port())
}

// ownConnections are those in the table of this node.
func (s *Server) ownConnections(ctx context.Context, f connectionFilter) *pb.Connections {
	node := &pb.ConnectionsNode{Name: s.o.Node, Answered: true}
	own := &pb.Connections{Nodes: []*pb.ConnectionsNode{node}}
	if s.o.Connections == nil || s.o.Services == nil {
		node.Why = "it runs no load balancer"
		return own
	}
	ctx, cancel := context.WithTimeout(ctx, connectionsAnswers)
	defer cancel()
	belongs := func(lvs.Connection) bool { return true }
	if f.name != "" {
		services, err := s.o.Services(ctx)
		if err != nil {
			node.Why = plain(err)
			return own
		}
		var keys []lvs.Key
		var servers []netip.AddrPort
		for i := range services {
			if isService(&services[i], f.name) {
				keys = append(keys, services[i].Keys...)
				for _, r := range services[i].Servers {
					servers = append(servers, r.Address)
				}
			}
		}
		belongs = func(c lvs.Connection) bool { return c.Belongs(keys, servers) }
	}
	err := s.o.Connections(ctx, func(c lvs.Connection) bool {
		if f.takes(c) && belongs(c) {
			if node.Total++; len(own.Connections) < f.limit {
				own.Connections = append(own.Connections, connectionToProto(s.o.Node, c))
			}
		}
		return true
	})
	if err != nil {
		node.Why = plain(err)
	}
	return own
}

func connectionToProto(node string, c lvs.Connection) *pb.Connection {
	out := &pb.Connection{
		Node: node, Protocol: c.Protocol.String(), Client: c.Client.String(), Virtual: c.Virtual.String(), Server: c.Server.String(),
		State: c.State, Expires: durationpb.New(c.Expires),
	}
	if c.Protocol == 0 {
		out.Protocol = "fwmark"
		if mark := c.Virtual.Addr(); mark.Is4() {
			b := mark.As4()
			out.Virtual = fmt.Sprint(uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]))
		}
	}
	return out
}
