package api

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/observed/incident"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
	"github.com/hacluster/hacluster/splitbrain"
)

func TestIncidentsAreListedTheNewestFirstAndFoundByTheirIDs(t *testing.T) {
	needRoot(t)
	l := newLAN(t, "lb1")
	began := time.Unix(2000, 0)
	l.stories = []incident.Story{
		{Number: 7, Local: "lb1-a-1", Kind: incident.Failover, Opened: began, Closed: began.Add(time.Minute), Lines: []incident.StoryLine{{Node: "lb1"}}},
		{Local: "lb1-a-2", Kind: incident.SplitBrain, Opened: began.Add(time.Hour)},
	}
	client := pb.NewIncidentsServiceClient(l.nodes["lb1"].socket(t))

	for _, tt := range []struct {
		req  *pb.ListIncidentsRequest
		want string
	}{
		{&pb.ListIncidentsRequest{}, "lb1-a-2 7 "},
		{&pb.ListIncidentsRequest{Limit: 1}, "lb1-a-2 "},
		{&pb.ListIncidentsRequest{Open: true}, "lb1-a-2 "},
	} {
		resp, err := client.List(t.Context(), tt.req)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, i := range resp.GetIncidents() {
			got.WriteString(i.GetId() + " ")
			if len(i.GetLines()) > 0 {
				t.Errorf("the list tells the lines of %s", i.GetId())
			}
		}
		if got.String() != tt.want {
			t.Errorf("list %v = %q, want %q", tt.req, got.String(), tt.want)
		}
	}
	for _, id := range []string{"7", "lb1-a-1"} {
		if got, err := client.Get(t.Context(), &pb.GetIncidentRequest{Id: id}); err != nil || got.GetId() != "7" || len(got.GetLines()) != 1 {
			t.Errorf("get %s = %v, %v; want incident 7 with its line", id, got, err)
		}
	}
	_, err := client.Get(t.Context(), &pb.GetIncidentRequest{Id: "8"})
	wantReason(t, err, pb.ErrorReason_ERROR_REASON_NOT_FOUND)
}

func TestAReplaySaysWhoDecidesOtherwiseToday(t *testing.T) {
	needRoot(t)
	l := newLAN(t, "lb1", "lb2", "lb3")
	l.nodes["lb3"].off = true
	l.stories = []incident.Story{{Number: 7, Kind: incident.Failover, Opened: time.Unix(2000, 0)}}
	decided := func(second int64, was ...string) *splitbrain.Traced {
		return &splitbrain.Traced{Was: was, View: splitbrain.View{
			Now: time.Unix(second, 0), Unit: &splitbrain.UnitView{Name: "vi_1", State: splitbrain.Fault, AdvertInterval: time.Second}}}
	}
	same := decided(2002)
	same.Was = same.Replay()
	l.traced = map[string][]*splitbrain.Traced{"lb1": {same}, "lb2": {decided(2001, "take over after 0s: by another version")}}
	resp, err := pb.NewIncidentsServiceClient(l.nodes["lb1"].socket(t)).Replay(t.Context(), &pb.ReplayIncidentRequest{Id: "7"})
	if err != nil {
		t.Fatal(err)
	}
	d := resp.GetDecisions()
	if len(d) != 2 || d[0].GetNode() != "lb2" || d[0].GetSame() || d[1].GetNode() != "lb1" || !d[1].GetSame() || d[1].GetState() != "FAULT" {
		t.Errorf("decisions = %v, want that of lb2 otherwise, then that of lb1 the same", d)
	}
	if !slices.Equal(resp.GetMissing(), []string{"lb3"}) {
		t.Errorf("missing = %v, want lb3", resp.GetMissing())
	}
}
