package api

import (
	"net/netip"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/director"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func serviceToProto(node string, s *director.ServiceStatus) *pb.Service {
	out := &pb.Service{Name: s.Name, Scheduler: s.Scheduler, Views: []*pb.ServiceView{{
		Node: node, Quorum: s.Quorum, Since: timeToProto(s.Since), Reason: s.Reason,
		Weight: s.Weight, Gain: s.Gain, Keep: s.Keep, Suspended: s.Suspended,
		Counters: countersToProto(s.Counters),
	}}}
	if s.Sorry.IsValid() {
		out.Views[0].Sorry = s.Sorry.String()
	}
	for _, k := range s.Keys {
		out.Keys = append(out.Keys, k.String())
	}
	for i := range s.Servers {
		r := &s.Servers[i]
		view := &pb.RealServerView{
			Node: node, Up: r.Up, Known: r.Known, Since: timeToProto(r.Since), Reason: r.Reason,
			ConfiguredWeight: r.Configured, ActiveConnections: r.Connections.Active,
			InactiveConnections: r.Connections.Inactive, PersistentConnections: r.Connections.Persistent,
			Counters: countersToProto(r.Counters),
		}
		if (r.Up || r.Kept) && !s.Sorry.IsValid() {
			view.Weight = r.Weight
		}
		out.Servers = append(out.Servers, &pb.RealServer{Address: serverName(r.Address), Method: r.Method.String(), Views: []*pb.RealServerView{view}})
	}
	return out
}

func countersToProto(c lvs.Counters) *pb.Counters {
	return &pb.Counters{
		Connections: c.Connections, InPackets: c.InPackets, OutPackets: c.OutPackets, InBytes: c.InBytes, OutBytes: c.OutBytes,
		ConnectionsPerSecond: c.ConnectionsPerSecond, InPacketsPerSecond: c.InPacketsPerSecond, OutPacketsPerSecond: c.OutPacketsPerSecond,
		InBytesPerSecond: c.InBytesPerSecond, OutBytesPerSecond: c.OutBytesPerSecond,
	}
}

// mostNamed bounds what is named of each kind of trouble with the kernel's table.
const mostNamed = 20

// tableToProto notes what the kernel's table holds beside the services as they are
// wanted.
func tableToProto(node *pb.ServicesNode, t lvs.Status) {
	node.RefusedTotal, node.ForeignTotal, node.LeavingTotal = uint32(len(t.Refused)), uint32(len(t.Foreign)), uint32(len(t.Draining))
	for _, r := range t.Refused[:min(len(t.Refused), mostNamed)] {
		node.Refused = append(node.Refused, r.Error())
	}
	for _, e := range t.Foreign[:min(len(t.Foreign), mostNamed)] {
		node.Foreign = append(node.Foreign, e.String())
	}
	for _, d := range t.Draining[:min(len(t.Draining), mostNamed)] {
		node.Leaving = append(node.Leaving, &pb.LeavingServer{
			Service: d.Service.String(), Server: d.Server.String(), Until: timeToProto(d.Until),
			ActiveConnections: d.Connections.Active, InactiveConnections: d.Connections.Inactive,
		})
	}
}

// serverName is a server's address; without a port it is each packet's own.
func serverName(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}

// shiftServices moves all times of an answer.
func shiftServices(answer *pb.Services, by time.Duration) {
	for _, n := range answer.GetNodes() {
		for _, l := range n.GetLeaving() {
			l.Until = shifted(l.GetUntil(), by)
		}
	}
	for _, s := range answer.GetServices() {
		for _, v := range s.GetViews() {
			v.Since = shifted(v.GetSince(), by)
		}
		for _, r := range s.GetServers() {
			for _, v := range r.GetViews() {
				v.Since = shifted(v.GetSince(), by)
			}
		}
	}
}

func shifted(t *timestamppb.Timestamp, by time.Duration) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(t.AsTime().Add(by))
}
