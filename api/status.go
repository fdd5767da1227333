package api

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc"

	"github.com/hacluster/hacluster/internal/kclock"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

type statusService struct {
	pb.UnimplementedStatusServiceServer
	s *Server
}

// Get implements pb.StatusServiceServer.
func (st statusService) Get(ctx context.Context, _ *pb.GetStatusRequest) (*pb.ClusterStatus, error) {
	return statusToProto(st.s.merged(ctx)), nil
}

// Watch implements pb.StatusServiceServer. What changes on another member is
// seen within a second.
func (st statusService) Watch(req *pb.WatchStatusRequest, stream grpc.ServerStreamingServer[pb.ClusterStatus]) error {
	ctx := stream.Context()
	interval := time.Duration(req.GetIntervalMs()) * time.Millisecond
	if interval == 0 {
		interval = 500 * time.Millisecond
	}
	interval = max(interval, 100*time.Millisecond)
	for {
		if err := stream.Send(statusToProto(st.s.merged(ctx))); err != nil {
			return err
		}
		_, changed := st.s.o.Hub.Latest() // to look is a change, too
		if !kclock.Sleep(ctx, interval) {
			return nil
		}
		select {
		case <-changed:
		case <-time.After(max(time.Second-interval, 0)):
		case <-ctx.Done():
			return nil
		}
	}
}

type nodesService struct {
	pb.UnimplementedNodesServiceServer
	s *Server
}

// List implements pb.NodesServiceServer.
func (n nodesService) List(ctx context.Context, req *pb.ListNodesRequest) (*pb.ListNodesResponse, error) {
	picture := n.s.merged(ctx)
	nodes := statusToProto(picture).GetNodes()
	if name := req.GetNode(); name != "" {
		nodes = slices.DeleteFunc(nodes, func(node *pb.Node) bool { return node.GetName() != name })
		if len(nodes) == 0 {
			return nil, noNode(name, picture)
		}
	}
	return &pb.ListNodesResponse{Nodes: nodes}, nil
}

type vipsService struct {
	pb.UnimplementedVipsServiceServer
	s *Server
}

// List implements pb.VipsServiceServer.
func (v vipsService) List(ctx context.Context, req *pb.ListVipsRequest) (*pb.ListVipsResponse, error) {
	picture := v.s.merged(ctx)
	vips := statusToProto(picture).GetVips()
	if name := req.GetNode(); name != "" {
		if _, known := picture.Node(name); !known {
			return nil, noNode(name, picture)
		}
		vips = slices.DeleteFunc(vips, func(vip *pb.Vip) bool { return !slices.Contains(vip.GetHolders(), name) })
	}
	return &pb.ListVipsResponse{Vips: vips}, nil
}
