package api

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// reads are the methods that who may open the socket may call. Every other
// method needs root.
var reads = map[string]bool{
	pb.LifecycleService_Info_FullMethodName:           true,
	pb.StatusService_Get_FullMethodName:               true,
	pb.StatusService_Watch_FullMethodName:             true,
	pb.NodesService_List_FullMethodName:               true,
	pb.VipsService_List_FullMethodName:                true,
	pb.EventsService_List_FullMethodName:              true,
	pb.AlertsService_List_FullMethodName:              true,
	pb.ConfigService_Show_FullMethodName:              true,
	pb.ConfigService_Render_FullMethodName:            true,
	pb.ConfigService_Check_FullMethodName:             true,
	pb.ConfigService_Diff_FullMethodName:              true,
	pb.ConfigService_Plan_FullMethodName:              true,
	pb.ConfigService_History_FullMethodName:           true,
	pb.TokensService_List_FullMethodName:              true,
	pb.IncidentsService_List_FullMethodName:           true,
	pb.IncidentsService_Get_FullMethodName:            true,
	pb.IncidentsService_Replay_FullMethodName:         true,
	pb.ServicesService_List_FullMethodName:            true,
	pb.ServicesService_Watch_FullMethodName:           true,
	pb.ServicesService_ListConnections_FullMethodName: true,
}

func mayCall(ctx context.Context, method string) error {
	c, ok := callerOf(ctx)
	if ok && (c.uid == 0 || reads[method]) {
		return nil
	}
	return errNotRoot
}

// isRoot reports whether secrets may be shown to the caller.
func isRoot(ctx context.Context) bool {
	c, ok := callerOf(ctx)
	return ok && c.uid == 0
}

// versionHeader tells haclusterctl which version answers.
const versionHeader = "haclusterd-version"

func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if err := grpc.SetHeader(ctx, metadata.Pairs(versionHeader, s.o.Version)); err != nil {
		return nil, err
	}
	if err := mayCall(ctx, info.FullMethod); err != nil {
		return nil, toStatus(err)
	}
	resp, err := handle(ctx, req)
	return resp, toStatus(err)
}

func (s *Server) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if err := stream.SetHeader(metadata.Pairs(versionHeader, s.o.Version)); err != nil {
		return err
	}
	if err := mayCall(stream.Context(), info.FullMethod); err != nil {
		return toStatus(err)
	}
	return toStatus(handle(srv, stream))
}
