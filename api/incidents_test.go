package api

import (
	"testing"
	"time"

	"github.com/hacluster/hacluster/observed/incident"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
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
		got := ""
		for _, i := range resp.GetIncidents() {
			got += i.GetId() + " "
			if len(i.GetLines()) > 0 {
				t.Errorf("the list tells the lines of %s", i.GetId())
			}
		}
		if got != tt.want {
			t.Errorf("list %v = %q, want %q", tt.req, got, tt.want)
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
