package api

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/director"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// weighed is a cluster of lb1 and lb2 with two services: web with two servers of
// weight 5, and mail with one of these machines.
func weighed(t *testing.T) (*lan, pb.WeightsServiceClient) {
	l := newLAN(t, "lb1", "lb2")
	web := webService(true)
	second := web.Servers[0]
	second.Address = netip.MustParseAddrPort("10.0.0.2:80")
	web.Servers = append(web.Servers, second)
	web.Weight, web.Keep = 10, 5
	mail := webService(true)
	mail.Name, mail.Keys, mail.Weight, mail.Keep = "tcp 192.0.2.1:25", []lvs.Key{{Protocol: lvs.TCP, Address: netip.MustParseAddrPort("192.0.2.1:25")}}, 5, 0
	mail.Servers[0].Address = netip.MustParseAddrPort("10.0.0.1:25")
	l.services = map[string][]director.ServiceStatus{"lb1": {web, mail}, "lb2": {web}}
	return l, pb.NewWeightsServiceClient(l.nodes["lb2"].socket(t))
}

// named are weights as one text.
func named(w *pb.Weights) string {
	var list []string
	for _, o := range w.GetWeights() {
		list = append(list, fmt.Sprintf("%s %s=%d", o.GetService(), o.GetServer(), o.GetWeight()))
	}
	return strings.Join(list, ", ")
}

func TestWeightsByHandAreReplicatedShownAndRestored(t *testing.T) {
	needRoot(t)
	l, client := weighed(t)
	got, err := client.Give(t.Context(), &pb.GiveWeightRequest{Service: "all", Servers: []string{"10.0.0.1"}, Reason: "kernel update", OnBehalf: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	if want := "tcp 192.0.2.1:80 10.0.0.1:80=0, tcp 192.0.2.1:25 10.0.0.1:25=0"; named(got) != want {
		t.Errorf("gave %s, want %s", named(got), want)
	}
	if _, err := client.Give(t.Context(), &pb.GiveWeightRequest{Service: "192.0.2.1:80", Servers: []string{"10.0.0.2:80"}, Weight: 7}); err != nil {
		t.Fatal(err)
	}

	all, err := list(t, l.nodes["lb1"], "192.0.2.1:80")
	if err != nil || len(all.GetWeights()) != 2 {
		t.Fatalf("services show %v, %v; want the two of this one", all.GetWeights(), err)
	}
	if w := all.GetWeights()[0]; w.GetBy() != "root (sudo: alice)" || w.GetReason() != "kernel update" || w.GetSince() == nil {
		t.Errorf("shown %v", w)
	}

	if got, err = client.Restore(t.Context(), &pb.RestoreWeightRequest{Service: "all", Servers: []string{"10.0.0.1:25"}}); err != nil || named(got) != "tcp 192.0.2.1:25 10.0.0.1:25=0" {
		t.Errorf("restored %s, %v", named(got), err)
	}
	l.services = nil // what is not configured any more can be ended, too
	if got, err = client.Restore(t.Context(), &pb.RestoreWeightRequest{Service: "tcp 192.0.2.1:80", Servers: []string{"10.0.0.2"}}); err != nil || named(got) != "tcp 192.0.2.1:80 10.0.0.2:80=7" {
		t.Errorf("restored %s, %v", named(got), err)
	}
	if got, err = client.Restore(t.Context(), &pb.RestoreWeightRequest{Service: "all"}); err != nil || named(got) != "tcp 192.0.2.1:80 10.0.0.1:80=0" {
		t.Errorf("restored %s, %v", named(got), err)
	}
	_, err = client.Restore(t.Context(), &pb.RestoreWeightRequest{Service: "all"})
	wantReason(t, err, pb.ErrorReason_ERROR_REASON_NOT_FOUND)
}

func TestWeightsThatAreWrongOrEndAServiceAreRefused(t *testing.T) {
	needRoot(t)
	l, client := weighed(t)
	both := []string{"10.0.0.1:80", "10.0.0.2:80"}
	for _, tt := range []struct {
		req  *pb.GiveWeightRequest
		want string
	}{
		{&pb.GiveWeightRequest{Service: "all", Servers: []string{"10.0.0.1"}, Weight: 65536}, "weight 65536 is out of range; use 0 to 65535"},
		{&pb.GiveWeightRequest{Service: "all"}, "no real server is named"},
		{&pb.GiveWeightRequest{Service: "all", Servers: []string{"web1"}}, `"web1" is no real server`},
		{&pb.GiveWeightRequest{Service: "192.0.2.1:80", Servers: []string{"10.0.0.1:25"}}, "no real server 10.0.0.1:25 is in tcp 192.0.2.1:80"},
		{&pb.GiveWeightRequest{Service: "all", Servers: []string{"10.0.0.9"}}, "no real server 10.0.0.9 is in one of the 2 services"},
		{&pb.GiveWeightRequest{Service: "192.0.2.9", Servers: both}, "no virtual service 192.0.2.9 is known"},
		{&pb.GiveWeightRequest{Service: "192.0.2.1:80", Servers: both}, "that takes away the quorum of tcp 192.0.2.1:80 on lb1 (weight 0, needs 5), tcp 192.0.2.1:80 on lb2 (weight 0, needs 5)"},
	} {
		if _, err := client.Give(t.Context(), tt.req); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v, want %q", tt.req, err, tt.want)
		}
	}
	if s := l.overrides.State(); len(s.Overrides) > 0 {
		t.Errorf("refusals gave %v", s.Overrides)
	}
	if _, err := client.Give(t.Context(), &pb.GiveWeightRequest{Service: "192.0.2.1:80", Servers: both, Force: true}); err != nil {
		t.Errorf("by force: %v", err)
	}
}
