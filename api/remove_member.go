package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/cluster"
	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/observed"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// Remove implements pb.LifecycleServiceServer.
func (l lifecycleService) Remove(ctx context.Context, req *pb.RemoveMemberRequest) (*pb.RemoveMemberResponse, error) {
	s, name := l.s, req.GetNode()
	if err := s.member(); err != nil {
		return nil, err
	}
	if name == s.o.Node {
		r := refused("%s is the node that was asked, and it is alive", name)
		r.remedy = "haclusterctl leave takes a node out of its cluster from within"
		return nil, r
	}
	if err := s.known(ctx, name); err != nil {
		return nil, err
	}
	picture := s.merged(ctx)
	if sign := signOfLife(picture, name); sign != "" {
		return nil, livesStill(name, fmt.Sprintf("%s is alive: %s; nothing was changed", name, sign))
	}
	if err := s.fitsWithout(name); err != nil {
		return nil, err
	}
	remaining, err := s.o.Cluster.Remove(ctx, name)
	if r, ok := errors.AsType[*store.Refusal](err); ok && r.Code == cluster.CodeAnswers {
		return nil, livesStill(name, r.Error())
	}
	if err != nil {
		return nil, err
	}
	s.tellRemoval(picture, name, author(ctx, req.GetOnBehalf()))
	return &pb.RemoveMemberResponse{
		Cluster: s.o.Cluster.Status().ClusterName, Node: name, Remaining: names(remaining), Warnings: warnOfFew(remaining),
	}, nil
}

// known refuses the name of a node that is no member. Who has just joined may not be
// known here yet, so the leader is asked before anybody is told that.
func (s *Server) known(ctx context.Context, name string) error {
	is := func(m store.Member) bool { return m.Name == name }
	if slices.ContainsFunc(s.o.Cluster.Members(), is) {
		return nil
	}
	if err := s.o.Cluster.Sync(ctx); err != nil {
		return err
	}
	members := s.o.Cluster.Members()
	if slices.ContainsFunc(members, is) {
		return nil
	}
	return notFound("", "there is no member %s; the members are %s", name, strings.Join(names(members), ", "))
}

// livesStill refuses the removal of a member that is not dead.
func livesStill(name, text string) *refusal {
	r := refused("%s", text)
	r.remedy = "run haclusterctl leave on " + name + "; where that cannot be done, switch it off first"
	return r
}

// signOfLife says by what a member is known to live: it answers, somebody hears it, or
// it has said that it is back in a moment. Empty: nobody knows of any.
func signOfLife(s observed.Snapshot, name string) string {
	n, known := s.Node(name)
	if !known {
		return ""
	}
	if n.RestartingUntil.After(s.Time) {
		return "it restarts on purpose, until " + n.RestartingUntil.UTC().Format(time.RFC3339) + " at the latest"
	}
	var heard []string
	for _, from := range s.Nodes {
		if channel := hears(s, from.Name, name); from.Alive && channel != "" {
			heard = append(heard, fmt.Sprintf("%s hears it by %s", from.Name, channel))
		}
	}
	switch {
	case len(heard) > 0:
		return strings.Join(heard, ", ")
	case n.Alive:
		return "it was " + lastHeard(s, n)
	}
	return ""
}

// hears returns a channel by which one node hears another, the best first; empty: it
// does not. What a probe shows is no sign: the kernel of a machine answers ARP when
// the daemon has died.
func hears(s observed.Snapshot, from, to string) observed.ChannelKind {
	for _, channel := range []observed.ChannelKind{observed.Mesh, observed.VRRP, observed.Gossip} {
		if slices.ContainsFunc(s.Links, func(l observed.Link) bool {
			return l.From == from && l.To == to && l.Channel == channel && l.Alive
		}) {
			return channel
		}
	}
	return ""
}

func lastHeard(s observed.Snapshot, n *observed.Node) string {
	if n.LastSeen.IsZero() {
		return "never heard"
	}
	return fmt.Sprintf("last heard %s ago", max(s.Time.Sub(n.LastSeen), 0).Round(100*time.Millisecond))
}

// tellRemoval puts into the events and the log who removed a member.
func (s *Server) tellRemoval(before observed.Snapshot, name, by string) {
	n, ok := before.Node(name)
	if !ok {
		n = &observed.Node{}
	}
	reason := fmt.Sprintf("%s removed %s, %s", by, name, lastHeard(before, n))
	s.o.Hub.Record(observed.Event{Time: time.Now(), Node: s.o.Node, Kind: observed.MemberChanged, To: "removed", Reason: reason})
	s.o.Logger.Info("member removed", "node", name, "by", by)
}
