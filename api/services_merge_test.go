package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// says is the answer of a node about service web, whose servers are up (+), down
// (-) or not checked yet (?): "lb1 ++-". A further word: "noquorum", "suspended";
// "lb1" alone did not answer, "lb1 failed" has none. lb1 saw all changes at second 1, lb2 at second 2 …
func says(t *testing.T, text string) *pb.Services {
	t.Helper()
	words := strings.Fields(text)
	node := words[0]
	switch {
	case len(words) == 1:
		return unanswered(node, "it is not heard")
	case words[1] == "failed":
		return &pb.Services{Nodes: []*pb.ServicesNode{{Name: node, Answered: true, Failed: true, Why: "no ip_vs"}}}
	}
	since := timeToProto(time.Unix(int64(node[2]-'0'), 0))
	view := &pb.ServiceView{Node: node, Quorum: !slices.Contains(words, "noquorum"), Suspended: slices.Contains(words, "suspended"), Since: since, Reason: "by weight"}
	s := &pb.Service{Name: "web", Keys: []string{"tcp 192.0.2.1:80"}, Scheduler: "rr", Views: []*pb.ServiceView{view}}
	for i, mark := range words[1] {
		s.Servers = append(s.Servers, &pb.RealServer{Address: fmt.Sprintf("web%d", i+1), Method: "DR", Views: []*pb.RealServerView{{
			Node: node, Up: mark != '-', Known: mark != '?', Since: since, Reason: "why " + string(mark),
		}}})
	}
	return &pb.Services{Nodes: []*pb.ServicesNode{{Name: node, Answered: true}}, Services: []*pb.Service{s}}
}

// judged are the lines that matter of a picture.
func judged(all *pb.Services) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%v: %s\n", all.GetState(), all.GetReason())
	for _, p := range all.GetPartialFailures() {
		fmt.Fprintf(&out, "partial %s %s: %s by %v since %d: %s\n", p.GetService(), p.GetServer(), p.GetSummary(), p.GetNodes(), p.GetSince().GetSeconds(), p.GetReason())
	}
	for _, s := range all.GetServices() {
		fmt.Fprintf(&out, "%s %v: %s\n", s.GetName(), s.GetState(), s.GetReason())
		for _, r := range s.GetServers() {
			fmt.Fprintf(&out, "  %s %v of %d: %s\n", r.GetAddress(), r.GetState(), len(r.GetViews()), r.GetReason())
		}
	}
	return strings.ReplaceAll(strings.ReplaceAll(out.String(), "SERVICE_STATE_", ""), "STATE_", "")
}

func TestWhatTheNodesSeeIsOnePicture(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answers []string
		want    string
	}{{
		name:    "all agree that all is well",
		answers: []string{"lb1 ++", "lb2 ++", "lb3 ++"},
		want: `OK: one service with quorum, 2 servers up
web OK: 2 servers up
  web1 UP of 3: why +
  web2 UP of 3: why +
`}, {
		name:    "all agree that a server is down, which stands first",
		answers: []string{"lb1 +-", "lb2 +-"},
		want: `DEGRADED: 1 of 2 servers down
web DEGRADED: 1 of 2 servers down
  web2 DOWN of 2: why -
  web1 UP of 2: why +
`}, {
		name:    "one alone sees a server down",
		answers: []string{"lb1 ++", "lb2 +-", "lb3 ++"},
		want: `PARTIAL: one partial failure
partial web web2: lb2 alone sees web2 down by [lb2] since 2: why -
web PARTIAL: lb2 alone sees web2 down
  web2 PARTIAL of 3: lb2 alone sees it down: why -
  web1 UP of 3: why +
`}, {
		name:    "one alone sees a server up",
		answers: []string{"lb1 +", "lb2 -", "lb3 -"},
		want: `PARTIAL: one partial failure
partial web web1: lb1 alone sees web1 up by [lb1] since 2: why -
web PARTIAL: lb1 alone sees web1 up
  web1 PARTIAL of 3: lb1 alone sees it up: why -
`}, {
		name:    "of two nodes none is alone",
		answers: []string{"lb1 +", "lb2 -"},
		want: `PARTIAL: one partial failure
partial web web1: lb2 sees web1 down, lb1 sees it up by [lb2] since 2: why -
web PARTIAL: lb2 sees web1 down, lb1 sees it up
  web1 PARTIAL of 2: lb2 sees it down, lb1 sees it up: why -
`}, {
		name:    "half against half",
		answers: []string{"lb1 -", "lb2 -", "lb3 +", "lb4 +"},
		want: `PARTIAL: one partial failure
partial web web1: lb1 and lb2 see web1 down, lb3 and lb4 see it up by [lb1 lb2] since 3: why -
web PARTIAL: lb1 and lb2 see web1 down, lb3 and lb4 see it up
  web1 PARTIAL of 4: lb1 and lb2 see it down, lb3 and lb4 see it up: why -
`}, {
		name:    "a node that does not answer has no say and is named",
		answers: []string{"lb1 +", "lb2"},
		want: `DEGRADED: no answer from lb2
web OK: one server up
  web1 UP of 1: why +
`}, {
		name:    "a node that cannot run its services is named",
		answers: []string{"lb1 +", "lb2 failed", "lb3 failed"},
		want: `DEGRADED: failed on lb2 and lb3
web OK: one server up
  web1 UP of 1: why +
`}, {
		name:    "no node can run its services",
		answers: []string{"lb1 failed", "lb2"},
		want:    "NO_QUORUM: failed on lb1; no answer from lb2\n",
	}, {
		name:    "quorum is lost for one alone",
		answers: []string{"lb1 +", "lb2 - noquorum", "lb3 +"},
		want: `NO_QUORUM: 1 of 1 services without quorum (web); 2 partial failures
partial web : lb2 alone has no quorum by [lb2] since 2: by weight
partial web web1: lb2 alone sees web1 down by [lb2] since 2: why -
web NO_QUORUM: lb2 alone has no quorum: by weight
  web1 PARTIAL of 3: lb2 alone sees it down: why -
`}, {
		name:    "who does not check has no say",
		answers: []string{"lb1 +", "lb2 - noquorum suspended", "lb3 ?"},
		want: `OK: one service with quorum, one server up
web OK: one server up
  web1 UP of 3: why +
`}, {
		name:    "nobody checks",
		answers: []string{"lb1 + suspended", "lb2 + suspended"},
		want: `UNKNOWN: 1 of 1 services not checked
web UNKNOWN: no node checks it now (ha_suspend)
  web1 UNKNOWN of 2: no node checks it now (ha_suspend)
`}, {
		name:    "just started",
		answers: []string{"lb1 ?+"},
		want: `UNKNOWN: 1 of 1 services not checked
web UNKNOWN: 1 of 2 servers not checked yet
  web1 UNKNOWN of 1: why ?
  web2 UP of 1: why +
`}, {
		name:    "a node that has a server less",
		answers: []string{"lb1 ++", "lb2 +"},
		want: `OK: one service with quorum, 2 servers up
web OK: 2 servers up
  web1 UP of 2: why +
  web2 UP of 1: why +
`}} {
		t.Run(tt.name, func(t *testing.T) {
			var answers []*pb.Services
			for _, text := range tt.answers {
				answers = append(answers, says(t, text))
			}
			if diff := cmp.Diff(tt.want, judged(mergeServices(answers))); diff != "" {
				t.Errorf("picture (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, judged(mergeServices(answers))); diff != "" {
				t.Errorf("the same answers a second time (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheWorstServiceStandsFirst(t *testing.T) {
	named := func(name, text string) *pb.Service {
		s := says(t, text).Services[0]
		s.Name = name
		return s
	}
	answer := says(t, "lb1 +")
	answer.Services = []*pb.Service{named("well", "lb1 +"), named("degraded", "lb1 +-"), named("dead", "lb1 - noquorum"), named("fine", "lb1 +")}
	other := says(t, "lb2 +")
	other.Services = []*pb.Service{named("elsewhere", "lb2 +"), named("dead", "lb2 - noquorum")}
	other.Services[1].Views[0].Sorry = "10.0.0.99:80"
	want := `NO_QUORUM: 1 of 5 services without quorum (dead); 2 of 6 servers down
dead NO_QUORUM: by weight; the sorry server 10.0.0.99:80 stands in
  web1 DOWN of 2: why -
degraded DEGRADED: 1 of 2 servers down; not configured on lb2
  web2 DOWN of 1: why -
  web1 UP of 1: why +
well OK: one server up; not configured on lb2
  web1 UP of 1: why +
fine OK: one server up; not configured on lb2
  web1 UP of 1: why +
elsewhere OK: one server up; not configured on lb1
  web1 UP of 1: why +
`
	if diff := cmp.Diff(want, judged(mergeServices([]*pb.Services{answer, other}))); diff != "" {
		t.Errorf("picture (-want +got):\n%s", diff)
	}
}
