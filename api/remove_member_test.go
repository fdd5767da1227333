package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/status"

	"github.com/hacluster/hacluster/cluster"
	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/observed"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// dies silences a node for all.
func (l *lan) dies(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nodes[name].off = true
	l.publish([]string{"lb1", "lb2", "lb3"})
}

func TestADeadMemberIsRemovedAndTheEventsSayByWhom(t *testing.T) {
	l := newLAN(t, "lb1", "lb2", "lb3")
	l.dies("lb3")
	conn := l.nodes["lb1"].socket(t)
	resp, err := pb.NewLifecycleServiceClient(conn).Remove(t.Context(), &pb.RemoveMemberRequest{Node: "lb3", OnBehalf: "alice"})
	if err != nil || !slices.Equal(resp.GetRemaining(), []string{"lb1", "lb2"}) || len(resp.GetWarnings()) != 1 || resp.GetCluster() != "web" || resp.GetNode() != "lb3" {
		t.Fatalf("Remove = %v, %v; want two that remain, and a warning of that", resp, err)
	}
	events, _ := l.nodes["lb1"].hub.Events(0)
	if !slices.ContainsFunc(events, func(e observed.Event) bool {
		return e.Kind == observed.MemberChanged && e.To == "removed" && strings.Contains(e.Reason, "(sudo: alice) removed lb3, never heard")
	}) {
		t.Errorf("events = %+v, want one of the removal", events)
	}
}

func TestRemoveRefusesWhatItMustNotTake(t *testing.T) {
	tests := []struct {
		name   string
		node   string
		change func(l *lan)
		reason pb.ErrorReason
		says   []string
	}{
		{"the asked node", "lb1", nil, pb.ErrorReason_ERROR_REASON_REFUSED, []string{"lb1 is the node that was asked"}},
		{"a node that is no member", "lb9", nil, pb.ErrorReason_ERROR_REASON_NOT_FOUND, []string{"no member lb9; the members are lb1, lb2, lb3"}},
		{"a node that answers", "lb2", nil, pb.ErrorReason_ERROR_REASON_REFUSED, []string{"lb2 is alive", "nothing was changed"}},
		{"a node that the leader reaches", "lb3", func(l *lan) {
			l.remove = &store.Refusal{Code: cluster.CodeAnswers, Message: "lb3 is alive: lb2 hears it"}
		}, pb.ErrorReason_ERROR_REASON_REFUSED, []string{"lb2 hears it"}},
		{"one whose vote policy quorum needs", "lb3", func(l *lan) {
			one := strings.Replace(document, "priority 100", "priority 100\n    split_brain {\n        policy quorum\n    }", 1)
			l.history[0].Text = one + strings.NewReplacer("vi_1", "vi_2", "_id 51", "_id 52", "2.100/", "2.101/").Replace(one)
		}, pb.ErrorReason_ERROR_REASON_REFUSED, []string{"policy quorum of vi_1 needs 3 voters", "and one further finding", "policy quorum of vi_2"}},
		{"without a majority", "lb3", func(l *lan) {
			l.remove = &cluster.NoMajorityError{Operation: "remove lb3", Now: time.Now()}
		}, pb.ErrorReason_ERROR_REASON_NO_MAJORITY, []string{"remove lb3: no majority"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLAN(t, "lb1", "lb2", "lb3")
			l.dies("lb3")
			if tt.change != nil {
				tt.change(l)
			}
			_, err := pb.NewLifecycleServiceClient(l.nodes["lb1"].socket(t)).Remove(t.Context(), &pb.RemoveMemberRequest{Node: tt.node})
			wantReason(t, err, tt.reason)
			text := fmt.Sprint(err, status.Convert(err).Details())
			for _, want := range tt.says {
				if !strings.Contains(text, want) {
					t.Errorf("%s does not say %q", text, want)
				}
			}
			if len(l.nodes) != 3 {
				t.Errorf("%d members are left, want 3", len(l.nodes))
			}
		})
	}
}

func TestWhoeverIsHeardByAnybodyLives(t *testing.T) {
	now := time.Unix(1000, 0)
	picture := func(n observed.Node, links ...observed.Link) observed.Snapshot {
		n.Name = "lb3"
		return observed.Snapshot{Time: now, Links: links, Nodes: []observed.Node{{Name: "lb1", Alive: true}, {Name: "lb2", Alive: false}, n}}
	}
	tests := []struct {
		name    string
		picture observed.Snapshot
		want    string
	}{
		{"nothing is heard", picture(observed.Node{LastSeen: now.Add(-time.Minute)}), ""},
		{"a word a moment ago", picture(observed.Node{Alive: true, LastSeen: now.Add(-time.Second)}), "it was last heard 1s ago"},
		{"gossip alone", picture(observed.Node{}, observed.Link{From: "lb1", To: "lb3", Channel: observed.Gossip, Alive: true}), "lb1 hears it by gossip"},
		{"the word of one that is off itself", picture(observed.Node{}, observed.Link{From: "lb2", To: "lb3", Channel: observed.Mesh, Alive: true}), ""},
		{"the machine alone", picture(observed.Node{}, observed.Link{From: "lb1", To: "lb3", Channel: observed.Probe, Alive: true}), ""},
		{"a planned restart", picture(observed.Node{RestartingUntil: now.Add(time.Second)}), "it restarts on purpose, until 1970-01-01T00:16:41Z at the latest"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := signOfLife(tt.picture, "lb3"); got != tt.want {
				t.Errorf("signOfLife = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestARemovedNodeSaysSoAndHowToComeBack(t *testing.T) {
	l := newLAN(t, "lb1", "lb2", "lb3")
	l.state = cluster.Removed
	conn := l.nodes["lb1"].socket(t)
	st, err := pb.NewStatusServiceClient(conn).Get(t.Context(), &pb.GetStatusRequest{})
	if err != nil || st.GetVerdict() != pb.Verdict_VERDICT_UNKNOWN || !strings.Contains(st.GetReason(), "removed this node") ||
		!strings.Contains(st.GetNext(), "haclusterctl leave") || len(st.GetNodes()) != 1 {
		t.Errorf("status = %v, %v; want that it was removed, what to do, and itself alone", st, err)
	}
	_, err = pb.NewLifecycleServiceClient(conn).Init(t.Context(), &pb.InitRequest{Cluster: "new"})
	wantReason(t, err, pb.ErrorReason_ERROR_REASON_NOT_IN_CLUSTER)
	stream, err := pb.NewLifecycleServiceClient(conn).Join(t.Context(), &pb.JoinRequest{Token: "good"})
	if err == nil {
		_, err = stream.Recv()
	}
	wantReason(t, err, pb.ErrorReason_ERROR_REASON_NOT_IN_CLUSTER)
}
