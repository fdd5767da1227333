package api

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/hacluster/hacluster/cluster"
	"github.com/hacluster/hacluster/observed"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func TestStatusIsMergedFromEveryNode(t *testing.T) {
	l := newLAN(t, "lb1", "lb2")
	var header metadata.MD
	st, err := pb.NewStatusServiceClient(l.nodes["lb2"].socket(t)).Get(t.Context(), &pb.GetStatusRequest{}, grpc.Header(&header))
	if err != nil {
		t.Fatal(err)
	}
	if got := header.Get(versionHeader); !slices.Equal(got, []string{"1.0.0"}) {
		t.Errorf("header %s = %v, want the daemon's version", versionHeader, got)
	}
	if st.GetVerdict() != pb.Verdict_VERDICT_SAFE || len(st.GetVips()) != 1 || !slices.Equal(st.GetVips()[0].GetHolders(), []string{"lb1"}) {
		t.Errorf("status = %s %q, vips %v; want SAFE, held by lb1", st.GetVerdict(), st.GetReason(), st.GetVips())
	}
	if unit := st.GetNodes()[0].GetUnits()[0]; unit.GetReason() != "because" {
		t.Errorf("unit of lb1 as seen by lb2 = %v, want what lb1 says of itself", unit)
	}
}

func TestANodeInNoClusterTellsNothingOfAFormerOne(t *testing.T) {
	l := newLAN(t, "lb1", "lb2")
	l.state = cluster.Waiting
	st, err := pb.NewStatusServiceClient(l.nodes["lb2"].socket(t)).Get(t.Context(), &pb.GetStatusRequest{})
	if err != nil || st.GetVerdict() != pb.Verdict_VERDICT_UNKNOWN || len(st.GetNodes()) != 1 || st.GetCluster().GetName() != "" {
		t.Errorf("status = %v, %v; want UNKNOWN and this node only", st, err)
	}
}

func TestEventsOfAllNodesComeInOneStream(t *testing.T) {
	l := newLAN(t, "lb1", "lb2")
	at := time.Unix(2000, 0)
	l.nodes["lb1"].hub.Record(observed.Event{Node: "lb1", Time: at.Add(2 * time.Second), To: "second"})
	l.nodes["lb2"].hub.Record(observed.Event{Node: "lb2", Time: at.Add(1 * time.Second), To: "first"})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stream, err := pb.NewEventsServiceClient(l.nodes["lb1"].socket(t)).List(ctx, &pb.ListEventsRequest{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	next := func() string {
		t.Helper()
		ev, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return ev.GetNode() + " " + ev.GetTo()
	}
	if a, b := next(), next(); a != "lb2 first" || b != "lb1 second" {
		t.Errorf("past = %q, %q; want it in order of time", a, b)
	}
	l.nodes["lb2"].hub.Record(observed.Event{Node: "lb2", To: "news"})
	if got := next(); got != "lb2 news" {
		t.Errorf("followed = %q, want the other node's news", got)
	}
	l.nodes["lb1"].hub.Record(observed.Event{Node: "lb1", To: "own"})
	if got := next(); got != "lb1 own" {
		t.Errorf("followed = %q, want the own news", got)
	}
}

func TestEventsOfAnUnknownNodeAreAnErrorThatNamesTheNodes(t *testing.T) {
	l := newLAN(t, "lb1", "lb2")
	stream, err := pb.NewEventsServiceClient(l.nodes["lb1"].socket(t)).List(t.Context(), &pb.ListEventsRequest{Node: "nope"})
	if err == nil {
		_, err = stream.Recv()
	}
	wantReason(t, err, pb.ErrorReason_ERROR_REASON_NOT_FOUND)
	if !strings.Contains(err.Error(), "there is no node nope; the nodes are lb1, lb2") {
		t.Errorf("error = %v", err)
	}
}

func TestAlertsAreListedOnceWithTheirLastChange(t *testing.T) {
	l := newLAN(t, "lb1", "lb2")
	open := observed.Alert{ID: "a", Summary: "x", Since: time.Unix(1, 0)}
	ended := open
	ended.Resolved = time.Unix(2, 0)
	l.nodes["lb2"].hub.Raise(open)
	l.nodes["lb2"].hub.Raise(ended)
	l.nodes["lb1"].hub.Raise(observed.Alert{ID: "b", Summary: "y", Since: time.Unix(3, 0)})
	client := pb.NewAlertsServiceClient(l.nodes["lb1"].socket(t))
	for all, want := range map[bool][]string{false: {"b"}, true: {"a", "b"}} {
		stream, err := client.List(t.Context(), &pb.ListAlertsRequest{All: all})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for {
			alert, err := stream.Recv()
			if err != nil {
				break
			}
			got = append(got, alert.GetId())
		}
		if !slices.Equal(got, want) {
			t.Errorf("alerts (all %v) = %v, want %v", all, got, want)
		}
	}
}
