package api

import (
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/observed"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
	"github.com/hacluster/hacluster/vrrp"
)

func TestHandoverMovesTheUnit(t *testing.T) {
	l := newLAN(t, "lb1", "lb2")
	client := pb.NewHandoverServiceClient(l.nodes["lb1"].socket(t))
	resp, err := client.Handover(t.Context(), &pb.HandoverRequest{What: "192.0.2.100"})
	if err != nil || resp.GetUnit() != "vi_1" || resp.GetFrom() != "lb1" || resp.GetTo() != "lb2" {
		t.Errorf("Handover = %v, %v; want vi_1 from lb1 to lb2", resp, err)
	}
	_, err = client.Handover(t.Context(), &pb.HandoverRequest{What: "nothing"})
	wantReason(t, err, pb.ErrorReason_ERROR_REASON_NOT_FOUND)
	_, err = client.Handover(t.Context(), &pb.HandoverRequest{What: "vi_1", To: "lb9"})
	wantReason(t, err, pb.ErrorReason_ERROR_REASON_NOT_FOUND)
}

func TestHandoverSaysWhyANodeCannotTakeIt(t *testing.T) {
	snapshot := func(change func(*observed.Node)) observed.Snapshot {
		l := newLAN(t, "lb1", "lb2", "lb3")
		s, _ := l.nodes["lb1"].hub.Latest()
		for i, state := range []vrrp.State{vrrp.Master, vrrp.Backup, vrrp.Backup} {
			s.Nodes[i].Units = []vrrp.UnitStatus{s.Nodes[0].Units[0]}
			s.Nodes[i].Units[0].State = state
		}
		change(&s.Nodes[1])
		return s
	}
	for want, change := range map[string]func(*observed.Node){
		"it was never heard":                 func(n *observed.Node) { n.Alive = false },
		"it was last heard 1m":               func(n *observed.Node) { n.Alive, n.LastSeen = false, time.Now().Add(-time.Minute) },
		"it is a witness, and holds nothing": func(n *observed.Node) { n.Role, n.Units = observed.RoleWitness, nil },
		"it is FAULT (eth0 is down)":         func(n *observed.Node) { n.Units[0].State, n.Units[0].Reason = vrrp.Fault, "eth0 is down" },
		"it does not run it; these can: lb3": func(n *observed.Node) { n.Units = nil },
	} {
		_, _, err := planHandover(snapshot(change), "vi_1", "lb2")
		if err == nil || !strings.Contains(err.Error(), "lb2 cannot take vi_1 over: "+want) {
			t.Errorf("error = %v, want it to say %q", err, want)
		}
	}
}
