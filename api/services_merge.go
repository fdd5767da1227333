package api

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/observed"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// mergeServices makes one picture of what each node says of its own services,
// and judges it. The answers stay as they are.
func mergeServices(answers []*pb.Services) *pb.Services {
	all := &pb.Services{}
	pools := make(map[string]*mergedService)
	for _, answer := range answers {
		all.Nodes = append(all.Nodes, answer.GetNodes()...)
		for _, s := range answer.GetServices() {
			m := pools[s.GetName()]
			if m == nil {
				m = &mergedService{
					Service: &pb.Service{Name: s.GetName(), Keys: s.GetKeys(), Scheduler: s.GetScheduler()},
					servers: make(map[string]*pb.RealServer, len(s.GetServers())),
				}
				pools[s.GetName()] = m
				all.Services = append(all.Services, m.Service)
			}
			m.add(s)
		}
	}
	for _, s := range all.Services {
		all.PartialFailures = append(all.PartialFailures, judgeService(s, all.Nodes)...)
	}
	slices.SortStableFunc(all.PartialFailures, func(a, b *pb.PartialFailure) int {
		return timeFromProto(b.GetSince()).Compare(timeFromProto(a.GetSince()))
	})
	slices.SortStableFunc(all.Services, func(a, b *pb.Service) int { return cmp.Compare(b.GetState(), a.GetState()) })
	all.State, all.Reason = judgeServices(all)
	return all
}

// mergedService is a service to which nodes add what they say.
type mergedService struct {
	*pb.Service
	servers map[string]*pb.RealServer // by address
}

func (m *mergedService) add(s *pb.Service) {
	m.Views = append(m.Views, s.GetViews()...)
	for _, r := range s.GetServers() {
		merged := m.servers[r.GetAddress()]
		if merged == nil {
			merged = &pb.RealServer{Address: r.GetAddress(), Method: r.GetMethod()}
			m.servers[r.GetAddress()] = merged
			m.Servers = append(m.Servers, merged)
		}
		merged.Views = append(merged.Views, r.GetViews()...)
	}
}

// side are the nodes that say the same.
type side struct {
	nodes  []string
	since  time.Time // of the first of them
	reason string    // of one of them
}

func (s *side) add(node string, since time.Time, reason string) {
	if len(s.nodes) == 0 {
		s.reason = reason
	}
	if len(s.nodes) == 0 || since.Before(s.since) {
		s.since = since
	}
	s.nodes = append(s.nodes, node)
}

// judgeService judges a service and its servers, and says where the nodes do not
// agree. Who does not check a service now has no say.
func judgeService(s *pb.Service, nodes []*pb.ServicesNode) []*pb.PartialFailure {
	var (
		with, without side
		idle          = make(map[string]bool)
		sorry         string
	)
	for _, v := range s.GetViews() {
		switch {
		case v.GetSuspended():
			idle[v.GetNode()] = true
		case v.GetQuorum():
			with.add(v.GetNode(), timeFromProto(v.GetSince()), v.GetReason())
		default:
			without.add(v.GetNode(), timeFromProto(v.GetSince()), v.GetReason())
			sorry = cmp.Or(sorry, v.GetSorry())
		}
	}
	for _, n := range nodes {
		runs := n.GetAnswered() && n.GetWhy() == ""
		if runs && !slices.ContainsFunc(s.GetViews(), func(v *pb.ServiceView) bool { return v.GetNode() == n.GetName() }) {
			s.Absent = append(s.Absent, n.GetName())
		}
	}

	var partial []*pb.PartialFailure
	if len(with.nodes) > 0 && len(without.nodes) > 0 {
		words := observed.Opposed(without.nodes, with.nodes, [2]string{"has", "have"}, "no quorum", "quorum", "it")
		partial = append(partial, partialFailure(s.GetName(), "", words, without, with))
	}
	for _, r := range s.GetServers() {
		if p := judgeServer(s.GetName(), r, idle); p != nil {
			partial = append(partial, p)
		}
	}
	slices.SortStableFunc(s.Servers, func(a, b *pb.RealServer) int { return cmp.Compare(b.GetState(), a.GetState()) })

	s.State, s.Reason = stateOf(s.GetServers(), with, without, partial)
	if sorry != "" {
		s.Reason += "; the sorry server " + sorry + " stands in"
	}
	if len(s.Absent) > 0 {
		s.Reason += "; not configured on " + observed.And(s.Absent)
	}
	return partial
}

// stateOf judges a service whose servers are judged: with and without are the
// nodes that see quorum and none.
func stateOf(servers []*pb.RealServer, with, without side, partial []*pb.PartialFailure) (pb.ServiceState, string) {
	tally := countServers(servers)
	switch {
	case len(without.nodes) > 0 && len(with.nodes) > 0:
		return pb.ServiceState_SERVICE_STATE_NO_QUORUM, partial[0].GetSummary() + ": " + without.reason
	case len(without.nodes) > 0:
		return pb.ServiceState_SERVICE_STATE_NO_QUORUM, without.reason
	case len(partial) > 1:
		return pb.ServiceState_SERVICE_STATE_PARTIAL, fmt.Sprintf("%s; %d more", partial[0].GetSummary(), len(partial)-1)
	case len(partial) == 1:
		return pb.ServiceState_SERVICE_STATE_PARTIAL, partial[0].GetSummary()
	case len(with.nodes) == 0:
		return pb.ServiceState_SERVICE_STATE_UNKNOWN, notChecked
	case tally[pb.RealServer_STATE_DOWN] > 0:
		return pb.ServiceState_SERVICE_STATE_DEGRADED, fmt.Sprintf("%d of %d servers down", tally[pb.RealServer_STATE_DOWN], len(servers))
	case tally[pb.RealServer_STATE_UNKNOWN] > 0:
		return pb.ServiceState_SERVICE_STATE_UNKNOWN, fmt.Sprintf("%d of %d servers not checked yet", tally[pb.RealServer_STATE_UNKNOWN], len(servers))
	}
	return pb.ServiceState_SERVICE_STATE_OK, count(len(servers), "server") + " up"
}

// notChecked is said of what every node has suspended.
const notChecked = "no node checks it now (ha_suspend)"

// judgeServer judges a real server, and says whether the nodes do not agree.
func judgeServer(service string, r *pb.RealServer, idle map[string]bool) *pb.PartialFailure {
	var up, down side
	unchecked := ""
	for _, v := range r.GetViews() {
		switch {
		case idle[v.GetNode()]:
		case !v.GetKnown():
			unchecked = v.GetReason()
		case v.GetUp():
			up.add(v.GetNode(), timeFromProto(v.GetSince()), v.GetReason())
		default:
			down.add(v.GetNode(), timeFromProto(v.GetSince()), v.GetReason())
		}
	}
	switch {
	case len(up.nodes) > 0 && len(down.nodes) > 0:
		see := [2]string{"sees", "see"}
		r.State = pb.RealServer_STATE_PARTIAL
		r.Reason = observed.Opposed(down.nodes, up.nodes, see, "it down", "it up", "it up") + ": " + down.reason
		words := observed.Opposed(down.nodes, up.nodes, see, r.GetAddress()+" down", r.GetAddress()+" up", "it up")
		return partialFailure(service, r.GetAddress(), words, down, up)
	case len(down.nodes) > 0:
		r.State, r.Reason = pb.RealServer_STATE_DOWN, down.reason
	case len(up.nodes) > 0:
		r.State, r.Reason = pb.RealServer_STATE_UP, up.reason
	default:
		r.State, r.Reason = pb.RealServer_STATE_UNKNOWN, cmp.Or(unchecked, notChecked)
	}
	return nil
}

func partialFailure(service, server, summary string, bad, good side) *pb.PartialFailure {
	fewer, since := bad.nodes, bad.since
	if len(good.nodes) < len(bad.nodes) {
		fewer = good.nodes
	}
	if good.since.After(since) {
		since = good.since // until then they agreed
	}
	return &pb.PartialFailure{Service: service, Server: server, Nodes: fewer, Summary: summary, Reason: bad.reason, Since: timeToProto(since)}
}

// judgeServices sums up.
func judgeServices(all *pb.Services) (worst pb.ServiceState, reason string) {
	var says, silent, failed, lost, refused []string
	worst = pb.ServiceState_SERVICE_STATE_OK
	unchecked, servers, tally := 0, 0, make(map[pb.RealServer_State]int)
	for _, s := range all.GetServices() {
		worst = max(worst, s.GetState())
		servers += len(s.GetServers())
		for state, n := range countServers(s.GetServers()) {
			tally[state] += n
		}
		switch s.GetState() {
		case pb.ServiceState_SERVICE_STATE_NO_QUORUM:
			lost = append(lost, s.GetName())
		case pb.ServiceState_SERVICE_STATE_UNKNOWN:
			unchecked++
		}
	}
	services := len(all.GetServices())
	if len(lost) > 0 {
		says = append(says, fmt.Sprintf("%d of %d services without quorum (%s)", len(lost), services, enumerate(lost)))
	}
	if n := len(all.GetPartialFailures()); n > 0 {
		says = append(says, count(n, "partial failure"))
	}
	if n := tally[pb.RealServer_STATE_DOWN]; n > 0 {
		says = append(says, fmt.Sprintf("%d of %d servers down", n, servers))
	}
	if unchecked > 0 {
		says = append(says, fmt.Sprintf("%d of %d services not checked", unchecked, services))
	}
	for _, n := range all.GetNodes() {
		switch {
		case !n.GetAnswered():
			silent = append(silent, n.GetName())
		case n.GetFailed():
			failed = append(failed, n.GetName())
		case n.GetRefusedTotal() > 0:
			refused = append(refused, n.GetName())
		}
	}
	if len(failed) > 0 {
		worst = max(worst, pb.ServiceState_SERVICE_STATE_DEGRADED)
		if services == 0 {
			worst = pb.ServiceState_SERVICE_STATE_NO_QUORUM // nobody serves
		}
		says = append(says, "failed on "+observed.And(failed))
	}
	if len(refused) > 0 {
		worst = max(worst, pb.ServiceState_SERVICE_STATE_DEGRADED)
		says = append(says, "not all is taken by the kernel of "+observed.And(refused))
	}
	if len(silent) > 0 {
		worst = max(worst, pb.ServiceState_SERVICE_STATE_DEGRADED)
		says = append(says, "no answer from "+observed.And(silent))
	}
	switch {
	case len(says) > 0:
		return worst, strings.Join(says, "; ")
	case services == 0:
		return worst, "no virtual services"
	}
	return worst, count(services, "service") + " with quorum, " + count(servers, "server") + " up"
}

func countServers(list []*pb.RealServer) map[pb.RealServer_State]int {
	tally := make(map[pb.RealServer_State]int)
	for _, r := range list {
		tally[r.GetState()]++
	}
	return tally
}
