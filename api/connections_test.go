package api

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/director"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func connection(client, virtual, server string) lvs.Connection {
	at := netip.MustParseAddrPort
	return lvs.Connection{Protocol: lvs.TCP, Client: at(client), Virtual: at(virtual), Server: at(server), State: "ESTABLISHED", Expires: 900 * time.Second}
}

// connected is a cluster of lb1, which has connections, lb2, which has a copy of one,
// and lb3, which is off.
func connected(t *testing.T) *lan {
	l := newLAN(t, "lb1", "lb2", "lb3")
	l.nodes["lb3"].off = true
	l.publish([]string{"lb1", "lb2", "lb3"})
	marked := webService(true)
	marked.Name, marked.Keys = "fwmark 5 ipv4", []lvs.Key{{Mark: 5, MarkFamily: lvs.IPv4}}
	marked.Servers[0].Address = netip.MustParseAddrPort("10.0.0.9:0")
	l.services = map[string][]director.ServiceStatus{"lb1": {webService(true), marked}, "lb2": {webService(true)}}
	remembered := connection("203.0.113.7:0", "0.0.0.5:0", "10.0.0.9:0")
	remembered.Protocol = 0
	l.conns = map[string][]lvs.Connection{
		"lb1": {
			connection("203.0.113.7:50000", "192.0.2.1:80", "10.0.0.1:80"), connection("203.0.113.8:50000", "192.0.2.1:80", "10.0.0.2:80"),
			connection("203.0.113.7:50001", "192.0.2.1:443", "10.0.0.1:443"), connection("203.0.113.7:50002", "192.0.2.9:25", "10.0.0.9:25"), remembered,
		},
		"lb2": {connection("203.0.113.7:50000", "192.0.2.1:80", "10.0.0.1:80")},
	}
	return l
}

func TestConnectionsAreThoseOfAllMembersThatAreAskedFor(t *testing.T) {
	needRoot(t)
	client := pb.NewServicesServiceClient(connected(t).nodes["lb1"].socket(t))
	for _, tt := range []struct {
		name string
		req  *pb.ListConnectionsRequest
		want string // clients by node
	}{
		{"all", &pb.ListConnectionsRequest{}, "lb1 203.0.113.7:50000, lb1 203.0.113.8:50000, lb1 203.0.113.7:50001, lb1 203.0.113.7:50002, lb1 203.0.113.7:0, lb2 203.0.113.7:50000"},
		{"of a service", &pb.ListConnectionsRequest{Name: "192.0.2.1:80"}, "lb1 203.0.113.7:50000, lb1 203.0.113.8:50000, lb2 203.0.113.7:50000"},
		{"of a mark, by its servers", &pb.ListConnectionsRequest{Name: "fwmark 5 ipv4"}, "lb1 203.0.113.7:50002, lb1 203.0.113.7:0"},
		{"of a server", &pb.ListConnectionsRequest{Server: "10.0.0.1"}, "lb1 203.0.113.7:50000, lb1 203.0.113.7:50001, lb2 203.0.113.7:50000"},
		{"of a server's port", &pb.ListConnectionsRequest{Server: "10.0.0.1:443"}, "lb1 203.0.113.7:50001"},
		{"of a client", &pb.ListConnectionsRequest{Client: "203.0.113.8"}, "lb1 203.0.113.8:50000"},
		{"of clients", &pb.ListConnectionsRequest{Client: "198.51.100.0/24"}, ""},
		{"as many as asked for", &pb.ListConnectionsRequest{Limit: 1}, "lb1 203.0.113.7:50000, lb2 203.0.113.7:50000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all, err := client.ListConnections(t.Context(), tt.req)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range all.GetConnections() {
				got = append(got, c.GetNode()+" "+c.GetClient())
			}
			if got := strings.Join(got, ", "); got != tt.want {
				t.Errorf("connections = %s\nwant %s", got, tt.want)
			}
			if n := all.GetNodes(); len(n) != 3 || n[2].GetAnswered() || n[2].GetWhy() != "it is not heard" {
				t.Errorf("nodes = %v, want lb3 without an answer", n)
			}
		})
	}
	all, err := client.ListConnections(t.Context(), &pb.ListConnectionsRequest{Limit: 1})
	if err != nil || all.GetNodes()[0].GetTotal() != 5 {
		t.Errorf("of %v, %v; want 5 on lb1", all.GetNodes(), err)
	}
	remembered, err := client.ListConnections(t.Context(), &pb.ListConnectionsRequest{Name: "fwmark 5 ipv4"})
	if c := remembered.GetConnections(); err != nil || len(c) != 2 || c[1].GetProtocol() != "fwmark" || c[1].GetVirtual() != "5" {
		t.Errorf("remembered of a mark: %v, %v", c, err)
	}
}

func TestConnectionsAskedForWronglyAreRefused(t *testing.T) {
	needRoot(t)
	client := pb.NewServicesServiceClient(connected(t).nodes["lb1"].socket(t))
	for req, want := range map[*pb.ListConnectionsRequest]string{
		{Server: "web"}:         `"web" is no real server; use an address, or ADDRESS:PORT`,
		{Client: "all"}:         `"all" is no client; use an address or a prefix, such as 203.0.113.0/24`,
		{Limit: 20_001}:         "limit 20001 is out of range; use at most 20000",
		{Name: "192.0.2.77:80"}: "no virtual service 192.0.2.77:80 is known",
	} {
		if _, err := client.ListConnections(t.Context(), req); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", req, err, want)
		}
	}
}

func TestServicesSayWhatTheKernelHasBesideThem(t *testing.T) {
	needRoot(t)
	l := newLAN(t, "lb1")
	web := webService(true)
	web.Counters = lvs.Counters{Connections: 7, InBytesPerSecond: 8}
	web.Servers[0].Counters = lvs.Counters{OutPackets: 9}
	l.services = map[string][]director.ServiceStatus{"lb1": {web}}
	key := web.Keys[0]
	foreign := make([]lvs.Entry, mostNamed+1)
	for i := range foreign {
		foreign[i] = lvs.Entry{Service: key}
	}
	l.tables = map[string]lvs.Status{"lb1": {
		Refused:  []lvs.Refusal{{Op: lvs.AddService{Key: key, Settings: lvs.Settings{Scheduler: "fo"}}, Err: errors.New("no such scheduler")}},
		Foreign:  foreign,
		Draining: []lvs.Draining{{Entry: lvs.Entry{Service: key, Server: netip.MustParseAddrPort("10.0.0.7:80")}, Connections: lvs.Connections{Active: 3}, Until: time.Unix(2000, 0)}},
	}}
	all, err := list(t, l.nodes["lb1"], "")
	if err != nil {
		t.Fatal(err)
	}
	n := all.GetNodes()[0]
	if all.GetState() != pb.ServiceState_SERVICE_STATE_DEGRADED || all.GetReason() != "not all is taken by the kernel of lb1" {
		t.Errorf("services = %v: %s", all.GetState(), all.GetReason())
	}
	if n.GetRefusedTotal() != 1 || n.GetRefused()[0] != "add tcp 192.0.2.1:80 fo: no such scheduler" {
		t.Errorf("refused %d: %q", n.GetRefusedTotal(), n.GetRefused())
	}
	if n.GetForeignTotal() != mostNamed+1 || len(n.GetForeign()) != mostNamed {
		t.Errorf("foreign %d, of which %d are named", n.GetForeignTotal(), len(n.GetForeign()))
	}
	if l := n.GetLeaving(); n.GetLeavingTotal() != 1 || l[0].GetServer() != "10.0.0.7:80" || l[0].GetActiveConnections() != 3 || l[0].GetUntil().GetSeconds() != 2000 {
		t.Errorf("leaving %v", l)
	}
	s := all.GetServices()[0]
	if c := s.GetViews()[0].GetCounters(); c.GetConnections() != 7 || c.GetInBytesPerSecond() != 8 {
		t.Errorf("counters of the service: %v", c)
	}
	if c := s.GetServers()[0].GetViews()[0].GetCounters(); c.GetOutPackets() != 9 {
		t.Errorf("counters of the server: %v", c)
	}
}
