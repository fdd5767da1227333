package api

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/director"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// webService is a service with one server.
func webService(up bool) director.ServiceStatus {
	return director.ServiceStatus{
		Name: "tcp 192.0.2.1:80", Scheduler: "wlc", Quorum: true, Since: time.Unix(1000, 0), Reason: "by weight", Weight: 5, Gain: 2, Keep: 1,
		Keys: []lvs.Key{{Protocol: lvs.TCP, Address: netip.MustParseAddrPort("192.0.2.1:80")}},
		Servers: []director.ServerStatus{{
			Server:     lvs.Server{Address: netip.MustParseAddrPort("10.0.0.1:80"), Method: lvs.DR, Weight: 5},
			Configured: 10, Up: up, Known: true, Since: time.Unix(1001, 0), Reason: "TCP_CHECK 10.0.0.1:80: answered",
			Connections: lvs.Connections{Active: 3, Inactive: 4, Persistent: 5},
		}},
	}
}

func list(t *testing.T, n *node, name string) (*pb.Services, error) {
	t.Helper()
	return pb.NewServicesServiceClient(n.socket(t)).List(t.Context(), &pb.ListServicesRequest{Name: name})
}

func TestServicesAreWhatAllMembersSeeAndNameWhoDoesNotAnswer(t *testing.T) {
	needRoot(t)
	l := newLAN(t, "lb1", "lb2", "lb3", "lb4")
	l.nodes["lb4"].off = true
	l.publish([]string{"lb1", "lb2", "lb3", "lb4"})
	l.services = map[string][]director.ServiceStatus{
		"lb1": {webService(true)}, "lb2": {webService(false)}, "lb3": {webService(true)},
	}
	all, err := list(t, l.nodes["lb1"], "")
	if err != nil {
		t.Fatal(err)
	}
	if all.GetState() != pb.ServiceState_SERVICE_STATE_PARTIAL || all.GetReason() != "one partial failure; no answer from lb4" || all.GetObserver() != "lb1" {
		t.Errorf("services = %v: %s, by %s", all.GetState(), all.GetReason(), all.GetObserver())
	}
	if p := all.GetPartialFailures(); len(p) != 1 || p[0].GetSummary() != "lb2 alone sees 10.0.0.1:80 down" {
		t.Errorf("partial failures = %v", p)
	}
	if n := all.GetNodes(); len(n) != 4 || n[3].GetAnswered() || n[3].GetWhy() != "it is not heard" {
		t.Errorf("nodes = %v, want lb4 without an answer", n)
	}
	if len(all.GetServices()) != 1 {
		t.Fatalf("services = %v, want one", all.GetServices())
	}
	s := all.GetServices()[0]
	if s.GetName() != "tcp 192.0.2.1:80" || !slices.Equal(s.GetKeys(), []string{"tcp 192.0.2.1:80"}) || s.GetScheduler() != "wlc" || len(s.GetViews()) != 3 {
		t.Errorf("service = %v", s)
	}
	up, down := s.GetServers()[0].GetViews()[0], s.GetServers()[0].GetViews()[1]
	if up.GetNode() != "lb1" || up.GetWeight() != 5 || up.GetConfiguredWeight() != 10 || up.GetActiveConnections() != 3 || up.GetInactiveConnections() != 4 || up.GetPersistentConnections() != 5 {
		t.Errorf("what lb1 sees = %v", up)
	}
	if down.GetNode() != "lb2" || down.GetUp() || down.GetWeight() != 0 || down.GetConfiguredWeight() != 10 {
		t.Errorf("what lb2 sees = %v, want no weight", down)
	}
}

func TestServicesAreFoundByNameAndAddress(t *testing.T) {
	needRoot(t)
	l := newLAN(t, "lb1", "lb2")
	other := webService(true)
	other.Name = "udp group dns"
	other.Keys = []lvs.Key{{Mark: 5, MarkFamily: lvs.IPv4}, {Protocol: lvs.UDP, Address: netip.MustParseAddrPort("192.0.2.3:53")}}
	other.Servers[0].Address = netip.MustParseAddrPort("10.0.0.1:0")
	l.services = map[string][]director.ServiceStatus{"lb2": {webService(true), other}}
	for name, want := range map[string]string{
		"tcp 192.0.2.1:80": "tcp 192.0.2.1:80 10.0.0.1:80", "192.0.2.1": "tcp 192.0.2.1:80 10.0.0.1:80",
		"192.0.2.1:80": "tcp 192.0.2.1:80 10.0.0.1:80", "192.0.2.1 80": "tcp 192.0.2.1:80 10.0.0.1:80",
		"udp group dns": "udp group dns 10.0.0.1", "group dns": "udp group dns 10.0.0.1",
		"fwmark 5 ipv4": "udp group dns 10.0.0.1", "192.0.2.3": "udp group dns 10.0.0.1",
	} {
		all, err := list(t, l.nodes["lb1"], name)
		if err != nil || len(all.GetServices()) != 1 {
			t.Errorf("services %s = %v, %v; want one", name, all.GetServices(), err)
			continue
		}
		s := all.GetServices()[0]
		if got := s.GetName() + " " + s.GetServers()[0].GetAddress(); got != want {
			t.Errorf("services %s = %s, want %s", name, got, want)
		}
	}
	_, err := list(t, l.nodes["lb1"], "192.0.2.2")
	wantReason(t, err, pb.ErrorReason_ERROR_REASON_NOT_FOUND)
}

func TestTimesOfOtherNodesAreInTheTimeOfTheOneAsked(t *testing.T) {
	needRoot(t)
	l := newLAN(t, "lb1", "lb2")
	l.services = map[string][]director.ServiceStatus{"lb2": {webService(true)}}
	picture, _ := l.nodes["lb1"].hub.Latest()
	picture.Nodes = slices.Clone(picture.Nodes)
	ahead := 10 * time.Second
	picture.Nodes[1].ClockAhead = &ahead
	l.nodes["lb1"].hub.Publish(picture)
	all, err := list(t, l.nodes["lb1"], "")
	if err != nil || len(all.GetServices()) != 1 {
		t.Fatalf("services = %v, %v", all, err)
	}
	s := all.GetServices()[0]
	if got, want := s.GetViews()[0].GetSince().GetSeconds(), int64(990); got != want {
		t.Errorf("quorum since %d, want %d", got, want)
	}
	if got, want := s.GetServers()[0].GetViews()[0].GetSince().GetSeconds(), int64(991); got != want {
		t.Errorf("server up since %d, want %d", got, want)
	}
}

func TestANodeWithoutServicesSaysWhy(t *testing.T) {
	for _, tt := range []struct {
		name     string
		services func(context.Context) ([]director.ServiceStatus, error)
		want     string
		failed   bool
	}{
		{"no load balancer", nil, "runs no load balancer", false},
		{"nothing configured", func(context.Context) ([]director.ServiceStatus, error) { return nil, nil }, "no virtual_server is configured", false},
		{"ended", func(context.Context) ([]director.ServiceStatus, error) { return nil, director.ErrNotRunning }, "the director does not run", true},
		{"broken", func(context.Context) ([]director.ServiceStatus, error) {
			return nil, errors.New("no ip_vs\nno modprobe")
		}, "no ip_vs; no modprobe", true},
		{"silent", func(context.Context) ([]director.ServiceStatus, error) { return nil, context.DeadlineExceeded }, "does not answer within 2s", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newLAN(t, "lb1").nodes["lb1"].server
			s.o.Services = tt.services
			all, err := s.allServices(t.Context(), "")
			if err != nil || len(all.GetNodes()) != 1 {
				t.Fatalf("services = %v, %v; want one node", all, err)
			}
			if n := all.GetNodes()[0]; !n.GetAnswered() || n.GetFailed() != tt.failed || !strings.Contains(n.GetWhy(), tt.want) {
				t.Errorf("node = %v; want failed %v, %q", n, tt.failed, tt.want)
			}
		})
	}
}

func TestWitnessesAreNotAskedForServices(t *testing.T) {
	l := newLAN(t, "lb1", "lb2")
	l.witness = "lb2"
	all, err := l.nodes["lb1"].server.allServices(t.Context(), "")
	if err != nil || len(all.GetNodes()) != 1 {
		t.Errorf("asked %v, %v; want lb1 alone", all.GetNodes(), err)
	}
}

func TestServicesAreShownAgainAndAgain(t *testing.T) {
	needRoot(t)
	l := newLAN(t, "lb1")
	l.services = map[string][]director.ServiceStatus{"lb1": {webService(true)}}
	stream, err := pb.NewServicesServiceClient(l.nodes["lb1"].socket(t)).Watch(t.Context(), &pb.WatchServicesRequest{IntervalMs: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if all, err := stream.Recv(); err != nil || len(all.GetServices()) != 1 {
			t.Errorf("picture = %v, %v", all, err)
		}
	}
}
