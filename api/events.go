package api

import (
	"cmp"
	"context"
	"slices"

	"google.golang.org/grpc"

	"github.com/hacluster/hacluster/observed"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// others are the names of the other members; none when the node is no member
// or the caller asks for this node's own word only.
func (s *Server) others(local bool) []string {
	if local || s.member() != nil {
		return nil
	}
	list := names(s.o.Cluster.Members())
	return slices.DeleteFunc(list, func(name string) bool { return name == s.o.Node })
}

// converted turns a list of values into messages.
func converted[V, M any](list []V, more <-chan struct{}, convert func(V) *M) ([]*M, <-chan struct{}) {
	out := make([]*M, len(list))
	for i, v := range list {
		out[i] = convert(v)
	}
	return out, more
}

type eventsService struct {
	pb.UnimplementedEventsServiceServer
	s *Server
}

// List implements pb.EventsServiceServer.
func (e eventsService) List(req *pb.ListEventsRequest, stream grpc.ServerStreamingServer[pb.Event]) error {
	f := feed[pb.Event]{
		local: func(after uint64) ([]*pb.Event, <-chan struct{}) {
			list, more := e.s.o.Hub.Events(max(after, req.GetAfterSeq()))
			return converted(list, more, eventToProto)
		},
		remote: func(ctx context.Context, conn grpc.ClientConnInterface, after uint64, follow bool) (grpc.ServerStreamingClient[pb.Event], error) {
			return pb.NewEventsServiceClient(conn).List(ctx, &pb.ListEventsRequest{Local: true, AfterSeq: after, Follow: follow})
		},
		seq: (*pb.Event).GetSeq,
		order: func(a, b *pb.Event) int {
			return cmp.Or(a.GetTime().AsTime().Compare(b.GetTime().AsTime()), cmp.Compare(a.GetNode(), b.GetNode()), cmp.Compare(a.GetSeq(), b.GetSeq()))
		},
		match: func(ev *pb.Event) bool {
			return (req.GetNode() == "" || req.GetNode() == ev.GetNode()) &&
				(req.GetUnit() == "" || req.GetUnit() == ev.GetUnit() || req.GetUnit() == ev.GetInstance()) &&
				(req.GetSince() == nil || ev.GetTime().AsTime().After(req.GetSince().AsTime()))
		},
	}
	if name := req.GetNode(); name != "" {
		snapshot, _ := e.s.o.Hub.Latest()
		if _, known := snapshot.Node(name); !known {
			return noNode(name, snapshot)
		}
	}
	others := e.s.others(req.GetLocal())
	list, last := f.past(stream.Context(), e.s, others)
	if limit := int(req.GetLimit()); limit > 0 && len(list) > limit {
		list = list[len(list)-limit:]
	}
	for _, ev := range list {
		if err := stream.Send(ev); err != nil {
			return err
		}
	}
	if !req.GetFollow() {
		return nil
	}
	return f.follow(stream.Context(), e.s, others, last, stream.Send)
}

type alertsService struct {
	pb.UnimplementedAlertsServiceServer
	s *Server
}

// List implements pb.AlertsServiceServer.
func (a alertsService) List(req *pb.ListAlertsRequest, stream grpc.ServerStreamingServer[pb.Alert]) error {
	f := feed[pb.Alert]{
		local: func(after uint64) ([]*pb.Alert, <-chan struct{}) {
			list, more := a.s.o.Hub.Alerts(max(after, req.GetAfterSeq()))
			return converted(list, more, func(v observed.Alert) *pb.Alert { return alertToProto(v) })
		},
		remote: func(ctx context.Context, conn grpc.ClientConnInterface, after uint64, follow bool) (grpc.ServerStreamingClient[pb.Alert], error) {
			return pb.NewAlertsServiceClient(conn).List(ctx, &pb.ListAlertsRequest{Local: true, All: true, AfterSeq: after, Follow: follow})
		},
		seq: (*pb.Alert).GetSeq,
		order: func(x, y *pb.Alert) int {
			return cmp.Or(x.GetSince().AsTime().Compare(y.GetSince().AsTime()), cmp.Compare(x.GetId(), y.GetId()), cmp.Compare(x.GetSeq(), y.GetSeq()))
		},
		match: func(*pb.Alert) bool { return true },
	}
	others := a.s.others(req.GetLocal())
	list, last := f.past(stream.Context(), a.s, others)
	for _, alert := range newestChanges(list, req.GetLocal()) {
		if alert.GetResolved() != nil && !req.GetAll() {
			continue
		}
		if err := stream.Send(alert); err != nil {
			return err
		}
	}
	if !req.GetFollow() {
		return nil
	}
	return f.follow(stream.Context(), a.s, others, last, stream.Send)
}

// newestChanges leaves only the last change of each occurrence of an alert.
// Members that ask for a node's own word get every change.
func newestChanges(list []*pb.Alert, all bool) []*pb.Alert {
	if all {
		return list
	}
	var out []*pb.Alert
	for i, a := range list {
		superseded := slices.ContainsFunc(list[i+1:], func(b *pb.Alert) bool {
			return a.GetId() == b.GetId() && a.GetSince().AsTime().Equal(b.GetSince().AsTime())
		})
		if !superseded {
			out = append(out, a)
		}
	}
	return out
}
