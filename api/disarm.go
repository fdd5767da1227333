package api

import (
	"context"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/observed/disarm"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

type disarmService struct {
	pb.UnimplementedDisarmServiceServer
	s *Server
}

// Disarm implements pb.DisarmServiceServer.
func (d disarmService) Disarm(ctx context.Context, req *pb.DisarmRequest) (*pb.Disarmed, error) {
	if err := d.s.member(); err != nil {
		return nil, err
	}
	order := disarm.Order{
		ID: store.NewRequestID(), For: req.GetFor().AsDuration(), By: author(ctx, req.GetOnBehalf()),
		Reason: req.GetReason(), At: time.Now().UTC(),
	}
	if order.For <= 0 || order.For > disarm.Longest {
		return nil, refused("disarm for %v is out of range; use more than 0s, at most %v", order.For, disarm.Longest)
	}
	cmd, err := disarm.Disarm(order)
	if err != nil {
		return nil, err
	}
	cmd.RequestID = order.ID
	if _, err := d.s.o.Apply(ctx, "disarm the cluster", cmd); err != nil {
		return nil, err
	}
	return disarmedToProto(&observed.Disarmed{
		By: order.By, Reason: order.Reason, Since: order.At, Until: time.Now().Add(order.For),
	}), nil
}

// Arm implements pb.DisarmServiceServer.
func (d disarmService) Arm(ctx context.Context, req *pb.ArmRequest) (*pb.ArmResponse, error) {
	if err := d.s.member(); err != nil {
		return nil, err
	}
	cmd, err := disarm.Arm("", author(ctx, req.GetOnBehalf()))
	if err != nil {
		return nil, err
	}
	if _, err := d.s.o.Apply(ctx, "arm the cluster", cmd); err != nil {
		return nil, err
	}
	return &pb.ArmResponse{}, nil
}

func disarmedToProto(d *observed.Disarmed) *pb.Disarmed {
	if d == nil {
		return nil
	}
	return &pb.Disarmed{By: d.By, Reason: d.Reason, Since: timeToProto(d.Since), Until: timeToProto(d.Until)}
}
