package main

import (
	"context"

	"google.golang.org/grpc/codes"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// weights gives what is asked for to the service tcp 192.0.2.100:80, whose picture
// shows it. In the scene "busy" the connections never end, in "idle" there are none.
type weights struct {
	pb.UnimplementedWeightsServiceServer
	d *daemon
}

func (w weights) Give(_ context.Context, req *pb.GiveWeightRequest) (*pb.Weights, error) {
	if w.d.is("last") && !req.GetForce() {
		return nil, refusal(codes.FailedPrecondition, pb.ErrorReason_ERROR_REASON_REFUSED,
			"that takes away the quorum of tcp 192.0.2.100:80 on lb01 (weight 0, needs 1); with --force it is done all the same", "")
	}
	given := &pb.Weights{}
	for _, server := range req.GetServers() {
		given.Weights = append(given.Weights, &pb.WeightByHand{
			Service: "tcp 192.0.2.100:80", Server: server, Weight: req.GetWeight(), By: "root", Reason: req.GetReason(), Since: at(20),
		})
	}
	return given, nil
}

func (w weights) Restore(context.Context, *pb.RestoreWeightRequest) (*pb.Weights, error) {
	return &pb.Weights{Weights: []*pb.WeightByHand{{Service: "tcp 192.0.2.100:80", Server: "10.0.0.1:80", By: "root", Since: at(20)}}}, nil
}

// drained is web with its first server drained by hand, and so many connections.
func drained(connections uint32) *pb.Services {
	s := web()
	r := s.Servers[0]
	for _, v := range r.Views {
		v.Weight, v.ActiveConnections, v.InactiveConnections = 0, 0, 0
	}
	r.Views[0].ActiveConnections, r.Views[0].InactiveConnections = connections, 1
	return &pb.Services{
		State: pb.ServiceState_SERVICE_STATE_OK, Reason: "one service with quorum, 2 servers up", Time: at(30), Observer: "lb01", Services: []*pb.Service{s},
		Nodes:   []*pb.ServicesNode{{Name: "lb01", Answered: true}},
		Weights: []*pb.WeightByHand{{Service: s.Name, Server: r.Address, By: "root (sudo: alice)", Reason: "kernel update", Since: at(20)}},
	}
}
