package api

import (
	"context"
	"slices"

	"github.com/hacluster/hacluster/observed/incident"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// listedIncidents is how many incidents List gives when nobody says.
const listedIncidents = 50

type incidentsService struct {
	pb.UnimplementedIncidentsServiceServer
	s *Server
}

// List implements pb.IncidentsServiceServer.
func (i incidentsService) List(_ context.Context, req *pb.ListIncidentsRequest) (*pb.ListIncidentsResponse, error) {
	if err := i.s.member(); err != nil {
		return nil, err
	}
	limit := int(req.GetLimit())
	if limit == 0 {
		limit = listedIncidents
	}
	resp := &pb.ListIncidentsResponse{}
	stories := i.s.o.Incidents()
	slices.SortStableFunc(stories, func(a, b incident.Story) int { return b.Opened.Compare(a.Opened) })
	for _, s := range stories {
		if len(resp.Incidents) == limit {
			break
		}
		if req.GetOpen() && !s.Closed.IsZero() {
			continue
		}
		s.Lines = nil
		resp.Incidents = append(resp.Incidents, incidentToProto(&s))
	}
	return resp, nil
}

// Get implements pb.IncidentsServiceServer.
func (i incidentsService) Get(_ context.Context, req *pb.GetIncidentRequest) (*pb.Incident, error) {
	s, err := i.find(req.GetId())
	if err != nil {
		return nil, err
	}
	return incidentToProto(s), nil
}

func (i incidentsService) find(id string) (*incident.Story, error) {
	if err := i.s.member(); err != nil {
		return nil, err
	}
	for _, s := range i.s.o.Incidents() {
		if s.ID() == id || s.Local == id {
			return &s, nil
		}
	}
	return nil, notFound("haclusterctl incident list shows those that are kept", "there is no incident %s", id)
}

func incidentToProto(s *incident.Story) *pb.Incident {
	out := &pb.Incident{
		Id: s.ID(), Kind: string(s.Kind), Subject: s.SubjectName(), Units: s.Units, Summary: s.Summary,
		Opened: timeToProto(s.Opened), Closed: timeToProto(s.Closed), DoubleHeld: durationToProto(s.Double), Dark: durationToProto(s.Dark), Unanswered: durationToProto(s.Unanswered),
		Reporters: s.Reporters, Done: s.Done, Isolated: s.Number == 0,
	}
	for _, l := range s.Lines {
		out.Lines = append(out.Lines, &pb.IncidentLine{Time: timeToProto(l.At), Node: l.Node, Channel: l.Channel, Units: l.Named(), Text: l.Text})
	}
	return out
}
