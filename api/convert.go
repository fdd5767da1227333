package api

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
	"github.com/hacluster/hacluster/observed"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
	"github.com/hacluster/hacluster/vrrp"
)

func timeToProto(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func timeFromProto(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func durationToProto(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

func addrToProto(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func revisionToProto(r store.Revision) *pb.Revision {
	return &pb.Revision{
		Number: r.Number, Sha256: r.Hash.String(), Author: r.Author,
		Time: timeToProto(r.Time), Message: r.Message, RequestId: r.RequestID,
	}
}

var severities = map[config.Severity]pb.Finding_Severity{
	config.Error:       pb.Finding_SEVERITY_ERROR,
	config.Unsupported: pb.Finding_SEVERITY_UNSUPPORTED,
	config.Warning:     pb.Finding_SEVERITY_WARNING,
}

func findingsToProto(list config.Findings) []*pb.Finding {
	var out []*pb.Finding
	for _, f := range list {
		out = append(out, &pb.Finding{
			Severity: severities[f.Severity], File: f.Pos.File, Line: uint32(f.Pos.Line), Column: uint32(f.Pos.Col),
			Message: f.Msg, Node: f.Node,
		})
	}
	return out
}

func findingsFromProto(list []*pb.Finding) config.Findings {
	var out config.Findings
	for _, f := range list {
		finding := config.Finding{
			Pos: syntax.Pos{File: f.GetFile(), Line: int(f.GetLine()), Col: int(f.GetColumn())},
			Msg: f.GetMessage(), Node: f.GetNode(), Severity: config.Error,
		}
		for mine, theirs := range severities {
			if theirs == f.GetSeverity() {
				finding.Severity = mine
			}
		}
		out = append(out, finding)
	}
	return out
}

var verdicts = map[observed.Verdict]pb.Verdict{
	observed.Safe: pb.Verdict_VERDICT_SAFE, observed.AtRisk: pb.Verdict_VERDICT_AT_RISK, observed.Unknown: pb.Verdict_VERDICT_UNKNOWN,
	observed.Dark: pb.Verdict_VERDICT_DARK, observed.Violated: pb.Verdict_VERDICT_VIOLATED,
}

var roles = map[observed.Role]pb.Role{
	observed.RoleVoter: pb.Role_ROLE_VOTER, observed.RoleWitness: pb.Role_ROLE_WITNESS, observed.RoleNonVoter: pb.Role_ROLE_NON_VOTER,
}

// statusToProto judges a snapshot and gives both.
func statusToProto(s observed.Snapshot) *pb.ClusterStatus {
	j := observed.Judge(s)
	out := &pb.ClusterStatus{
		Verdict: verdicts[j.Verdict], Reason: j.Reason, FailureTolerance: uint32(j.Tolerance), EditFailureTolerance: uint32(j.Edits), Next: j.Next,
		Time: timeToProto(s.Time), Observer: s.Observer,
		Cluster: &pb.Cluster{
			Name: s.Cluster.Name, Id: s.Cluster.ID, Leader: s.Cluster.Leader, Voters: s.Cluster.Voters,
			Majority: s.Cluster.Majority, Revision: s.Cluster.Revision, Standalone: s.Standalone,
		},
	}
	for _, v := range j.VIPs {
		out.Vips = append(out.Vips, vipToProto(v))
	}
	for _, n := range s.Nodes {
		out.Nodes = append(out.Nodes, nodeToProto(n, s.Cluster, s.Policies))
	}
	for _, l := range s.Links {
		out.Links = append(out.Links, &pb.Link{
			From: l.From, To: l.To, Channel: string(l.Channel), Alive: l.Alive, LastSeen: timeToProto(l.LastSeen)})
	}
	out.Disarmed, out.Unconfirmed, out.Gaps = disarmedToProto(s.Disarmed), unconfirmedToProto(s.Unconfirmed), j.Gaps
	for _, a := range s.Alerts {
		out.Alerts = append(out.Alerts, alertToProto(a))
	}
	return out
}

func vipToProto(v observed.VIP) *pb.Vip {
	out := &pb.Vip{
		Address: v.Address.String(), Instance: v.Instance, Unit: v.Unit, Vrid: uint32(v.VRID), Interface: v.Interface,
		Verdict: verdicts[v.Verdict], Reason: v.Reason, Holders: v.Holders,
		Since: timeToProto(v.Since), ChangeReason: v.ChangeReason, FailureTolerance: uint32(v.Tolerance), Policy: v.Policy,
		Lease: leaseToProto(v.Lease), Gate: gateToProto(v.Gate),
	}
	for _, c := range v.Candidates {
		out.Candidates = append(out.Candidates, &pb.Candidate{Node: c.Node, State: stateToProto(c.State), Priority: uint32(c.Priority)})
	}
	return out
}

func nodeToProto(n observed.Node, c observed.Cluster, policies map[string]string) *pb.Node {
	out := &pb.Node{
		Name: n.Name, Address: n.Address, Role: roles[n.Role], Leader: n.Name == c.Leader && c.Leader != "",
		Alive: n.Alive, LastSeen: timeToProto(n.LastSeen), Version: n.Version, Started: timeToProto(n.Started),
		Revision: n.Revision, RevisionTarget: c.Revision, RevisionError: n.RevisionError, StoreError: n.StoreError, Gaps: n.Gaps,
		Silent: n.Silent,
	}
	if !n.RestartingUntil.IsZero() {
		out.RestartingUntil = timeToProto(n.RestartingUntil)
	}
	if n.ClockAhead != nil {
		out.ClockAhead = durationpb.New(*n.ClockAhead)
	}
	for _, ch := range n.Channels {
		out.Channels = append(out.Channels, &pb.Channel{
			Kind: string(ch.Kind), Alive: ch.Alive, LastSeen: timeToProto(ch.LastSeen), RoundTrip: durationToProto(ch.RoundTrip)})
	}
	for _, u := range n.Units {
		unit := unitToProto(u)
		unit.Policy, unit.Lapsed = policies[u.Name], slices.Contains(n.Lapsed, u.Name)
		if l, ok := n.Leases[u.Name]; ok {
			unit.Lease = leaseToProto(&l)
		}
		out.Units = append(out.Units, unit)
	}
	return out
}

func gateToProto(g vrrp.GateStatus) *pb.Gate {
	out := &pb.Gate{Left: durationToProto(g.Left), Renewal: durationToProto(g.Lease), Missing: g.Missing}
	switch {
	case g == vrrp.GateStatus{}:
		return nil // none is wanted, or nothing is known of it
	case g.Lease == 0:
	case g.Left > 0:
		out.State = "open"
	default:
		out.State = "closed"
	}
	return out
}

func gateFromProto(g *pb.Gate) vrrp.GateStatus {
	return vrrp.GateStatus{Lease: g.GetRenewal().AsDuration(), Missing: g.GetMissing(), Left: g.GetLeft().AsDuration()}
}

func leaseToProto(l *observed.Lease) *pb.Lease {
	if l == nil {
		return nil
	}
	return &pb.Lease{Held: l.Left > 0, Left: durationToProto(l.Left), Ballot: l.Ballot, Waiting: l.Waiting}
}

func leaseFromProto(l *pb.Lease) observed.Lease {
	return observed.Lease{Left: l.GetLeft().AsDuration(), Ballot: l.GetBallot(), Waiting: l.GetWaiting()}
}

func stateToProto(s vrrp.State) pb.State { return pb.State(s) + pb.State_STATE_INIT }

func stateFromProto(s pb.State) vrrp.State {
	if s < pb.State_STATE_INIT || s > pb.State_STATE_FAULT {
		return vrrp.Init
	}
	return vrrp.State(s - pb.State_STATE_INIT)
}

func unitToProto(u vrrp.UnitStatus) *pb.Unit {
	out := &pb.Unit{
		Name: u.Name, Group: u.Group, State: stateToProto(u.State), Since: timeToProto(u.Since), Reason: u.Reason,
		Wants: u.Wants.String(), Tenure: u.Tenure.Seq, Priority: uint32(u.Priority), Primary: addrToProto(u.Primary),
		Gate: gateToProto(u.Gate),
	}
	for _, i := range u.Instances {
		inst := &pb.Instance{
			Name: i.Name, Interface: i.Interface, Family: i.Family.String(), Vrid: uint32(i.VRID), State: stateToProto(i.State),
			Priority: uint32(i.Priority), BasePriority: uint32(i.BasePriority), AdvertInterval: durationToProto(i.AdvertInterval),
			Source: addrToProto(i.Source), Faults: i.Faults, Rejected: maps.Clone(i.Rejected), Sent: i.Sent, Received: i.Received,
		}
		for _, a := range i.Addresses {
			inst.Addresses = append(inst.Addresses, a.String())
		}
		if seen := i.LastAdvert; !seen.At.IsZero() {
			inst.LastAdvert = &pb.AdvertSeen{
				From: addrToProto(seen.From), Priority: uint32(seen.Priority),
				Interval: durationToProto(seen.Interval), Time: timeToProto(seen.At)}
		}
		out.Instances = append(out.Instances, inst)
	}
	return out
}

// unitFromProto reads what another member says of its unit. What cannot be
// read stays zero.
func unitFromProto(u *pb.Unit) vrrp.UnitStatus {
	primary, _ := netip.ParseAddr(u.GetPrimary())
	out := vrrp.UnitStatus{
		Name: u.GetName(), Group: u.GetGroup(), State: stateFromProto(u.GetState()), Since: timeFromProto(u.GetSince()),
		Reason: u.GetReason(), Priority: vrrp.Priority(u.GetPriority()), Primary: primary,
		Tenure: vrrp.Tenure{Seq: u.GetTenure()}, Wants: wantFromProto(u.GetWants()), Gate: gateFromProto(u.GetGate()),
	}
	for _, i := range u.GetInstances() {
		source, _ := netip.ParseAddr(i.GetSource())
		inst := vrrp.InstanceStatus{
			Name: i.GetName(), Interface: i.GetInterface(), Family: vrrp.IPv4, VRID: vrrp.VRID(i.GetVrid()), State: stateFromProto(i.GetState()),
			Priority: vrrp.Priority(i.GetPriority()), BasePriority: vrrp.Priority(i.GetBasePriority()),
			AdvertInterval: i.GetAdvertInterval().AsDuration(), Source: source, Faults: i.GetFaults(),
			Rejected: i.GetRejected(), Sent: i.GetSent(), Received: i.GetReceived(),
		}
		if i.GetFamily() == vrrp.IPv6.String() {
			inst.Family = vrrp.IPv6
		}
		for _, a := range i.GetAddresses() {
			if p, err := netip.ParsePrefix(a); err == nil {
				inst.Addresses = append(inst.Addresses, p)
			}
		}
		if seen := i.GetLastAdvert(); seen != nil {
			from, _ := netip.ParseAddr(seen.GetFrom())
			inst.LastAdvert = vrrp.AdvertSeen{
				From: from, Priority: vrrp.Priority(seen.GetPriority()), Interval: seen.GetInterval().AsDuration(), At: timeFromProto(seen.GetTime())}
		}
		out.Instances = append(out.Instances, inst)
	}
	return out
}

func wantFromProto(text string) vrrp.Want {
	for _, w := range []vrrp.Want{vrrp.WantHeld, vrrp.WantPreempt} {
		if w.String() == text {
			return w
		}
	}
	return vrrp.WantNothing
}

func eventToProto(e observed.Event) *pb.Event {
	return &pb.Event{
		Seq: e.Seq, Time: timeToProto(e.Time), Node: e.Node, Kind: string(e.Kind), Unit: e.Unit, Instance: e.Instance,
		From: e.From, To: e.To, Reason: e.Reason, Evidence: e.Evidence,
	}
}

func alertToProto(a observed.Alert) *pb.Alert {
	return &pb.Alert{
		Id: a.ID, Code: a.Code, Severity: pb.Alert_Severity(a.Severity), Node: a.Node, Unit: a.Unit, Summary: a.Summary,
		Evidence: a.Evidence, Action: a.Action, Next: a.Next, Since: timeToProto(a.Since), Resolved: timeToProto(a.Resolved), Seq: a.Seq,
	}
}

func alertFromProto(a *pb.Alert) observed.Alert {
	return observed.Alert{
		ID: a.GetId(), Code: a.GetCode(), Severity: observed.Severity(a.GetSeverity()), Node: a.GetNode(), Unit: a.GetUnit(),
		Summary: a.GetSummary(), Evidence: a.GetEvidence(), Action: a.GetAction(), Next: a.GetNext(),
		Since: timeFromProto(a.GetSince()), Resolved: timeFromProto(a.GetResolved()), Seq: a.GetSeq(),
	}
}

func linkFromProto(l *pb.Link) observed.Link {
	return observed.Link{
		From: l.GetFrom(), To: l.GetTo(), Channel: observed.ChannelKind(l.GetChannel()),
		Alive: l.GetAlive(), LastSeen: timeFromProto(l.GetLastSeen()),
	}
}

// names returns the members' names, this node's too, in order.
func names(members []store.Member) []string {
	out := make([]string, 0, len(members))
	for _, m := range members {
		out = append(out, m.Name)
	}
	slices.Sort(out)
	return out
}
