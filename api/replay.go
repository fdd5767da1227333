package api

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hacluster/hacluster/observed/incident"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// replayAnswers is how long a member may take to decide again.
const replayAnswers = 5 * time.Second

// Replay implements pb.IncidentsServiceServer.
func (i incidentsService) Replay(ctx context.Context, req *pb.ReplayIncidentRequest) (*pb.ReplayIncidentResponse, error) {
	story, err := i.find(req.GetId())
	if err != nil {
		return nil, err
	}
	resp := &pb.ReplayIncidentResponse{}
	if resp.Decisions, err = i.replay(story); err != nil {
		return nil, err
	}
	if !req.GetLocal() && story.Number != 0 {
		i.askReplays(ctx, story.ID(), resp)
	}
	slices.SortStableFunc(resp.Decisions, func(a, b *pb.ReplayedDecision) int {
		return cmp.Or(a.GetTime().AsTime().Compare(b.GetTime().AsTime()), cmp.Compare(a.GetNode(), b.GetNode()))
	})
	slices.Sort(resp.Missing)
	return resp, nil
}

// replay decides again what this node decided.
func (i incidentsService) replay(story *incident.Story) ([]*pb.ReplayedDecision, error) {
	traced, err := i.s.o.Decisions(story)
	if err != nil {
		return nil, err
	}
	out := make([]*pb.ReplayedDecision, 0, len(traced))
	for _, t := range traced {
		now := t.Replay()
		out = append(out, &pb.ReplayedDecision{
			Time: timeToProto(t.View.Now), Node: i.s.o.Node, Unit: t.View.Unit.Name, State: t.View.Unit.State.String(),
			Was: t.Was, Now: now, Same: slices.Equal(t.Was, now),
		})
	}
	return out, nil
}

// askReplays has the other members decide again, and adds what they say in this
// node's time.
func (i incidentsService) askReplays(ctx context.Context, id string, resp *pb.ReplayIncidentResponse) {
	ctx, cancel := context.WithTimeout(ctx, replayAnswers)
	defer cancel()
	picture, _ := i.s.o.Hub.Latest()
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	for _, name := range i.s.others(false) {
		wg.Go(func() { // ends with the answer, or with ctx
			answer := i.askReplay(ctx, name, id)
			mu.Lock()
			defer mu.Unlock()
			if answer == nil {
				resp.Missing = append(resp.Missing, name)
				return
			}
			for _, d := range answer.GetDecisions() {
				if n, ok := picture.Node(name); ok && n.ClockAhead != nil {
					d.Time = timeToProto(d.GetTime().AsTime().Add(-*n.ClockAhead))
				}
				resp.Decisions = append(resp.Decisions, d)
			}
		})
	}
	wg.Wait()
}

func (i incidentsService) askReplay(ctx context.Context, node, id string) *pb.ReplayIncidentResponse {
	conn, err := i.s.o.Cluster.Conn(node)
	if err != nil {
		return nil
	}
	answer, err := pb.NewIncidentsServiceClient(conn).Replay(ctx, &pb.ReplayIncidentRequest{Id: id, Local: true})
	if err != nil {
		return nil
	}
	return answer
}
