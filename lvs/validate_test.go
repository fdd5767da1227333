package lvs

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestValidateNamesWhatNoKernelTakes(t *testing.T) {
	change := func(f func(*Service)) Desired {
		s := service(1, 1)
		f(&s)
		return Desired{Services: []Service{s}}
	}
	server := func(f func(*Server)) Desired {
		return change(func(s *Service) { f(&s.Servers[0]) })
	}
	v6 := netip.MustParseAddrPort("[2001:db8::1]:80")
	tests := []struct {
		name string
		d    Desired
		want string // in the error; empty: valid
	}{
		{"nothing", Desired{}, ""},
		{"a service", Desired{Services: []Service{service(1, 0, 1, MaxWeight)}}, ""},
		{"twice", Desired{Services: []Service{service(1), service(1)}}, "tcp 192.0.2.1:80: listed twice"},
		{"mark and address", change(func(s *Service) { s.Mark = 1 }), "use one of them"},
		{"mark", change(func(s *Service) { s.Key = Key{Mark: 1, MarkFamily: IPv4} }), ""},
		{"mark without family", change(func(s *Service) { s.Key = Key{Mark: 1} }), "use 4 or 6"},
		{"no address", change(func(s *Service) { s.Address = netip.AddrPort{} }), "has no address"},
		{"mapped address", change(func(s *Service) { s.Address = netip.MustParseAddrPort("[::ffff:192.0.2.1]:80") }), "use 192.0.2.1"},
		{"zone", change(func(s *Service) { s.Address = netip.MustParseAddrPort("[fe80::1%eth0]:80") }), "has a zone"},
		{"multicast", change(func(s *Service) { s.Address = netip.MustParseAddrPort("224.0.0.1:80") }), "unicast"},
		{"protocol", change(func(s *Service) { s.Protocol = 1 }), "use tcp, udp or sctp"},
		{"no scheduler", change(func(s *Service) { s.Scheduler = "" }), "use 1 to 15"},
		{"long scheduler", change(func(s *Service) { s.Scheduler = strings.Repeat("x", 16) }), "use 1 to 15"},
		{"port 0", change(func(s *Service) { s.Address = netip.AddrPortFrom(s.Address.Addr(), 0) }), "port 0 without persistence"},
		{"port 0, persistent", change(func(s *Service) {
			s.Address, s.Persistence.Timeout = netip.AddrPortFrom(s.Address.Addr(), 0), time.Minute
		}), ""},
		{"part of a second", change(func(s *Service) { s.Persistence.Timeout = 1500 * time.Millisecond }), "whole seconds"},
		{"mask", change(func(s *Service) { s.Persistence = Persistence{Timeout: time.Minute, MaskBits: 33} }), "use 1 to 32"},
		{"engine alone", change(func(s *Service) { s.Persistence.Engine = "sip" }), "give a timeout"},
		{"ops of tcp", change(func(s *Service) { s.Flags = OnePacket }), "udp only"},
		{"server twice", change(func(s *Service) { s.Servers = append(s.Servers, s.Servers[0]) }), "server 10.0.0.1:80: listed twice"},
		{"weight", server(func(r *Server) { r.Weight = MaxWeight + 1 }), "use 0 to 2147483647"},
		{"thresholds", server(func(r *Server) { r.UpperThreshold, r.LowerThreshold = 1, 2 }), "above the upper one"},
		{"DR to another port", server(func(r *Server) { r.Method, r.Address = DR, netip.MustParseAddrPort("10.0.0.1:81") }), "use port 80, or NAT"},
		{"NAT to another port", server(func(r *Server) { r.Address = netip.MustParseAddrPort("10.0.0.1:81") }), ""},
		{"NAT to another family", server(func(r *Server) { r.Address = v6 }), "use TUN"},
		{"TUN to another family", server(func(r *Server) { r.Address, r.Method = v6, TUN }), ""},
		{"method", server(func(r *Server) { r.Method = 1 }), "use NAT, DR or TUN"},
		{"gue without port", server(func(r *Server) { r.Method, r.Tunnel = TUN, Tunnel{Type: GUE} }), "needs a port"},
		{"port without gue", server(func(r *Server) { r.Method, r.Tunnel = TUN, Tunnel{Port: 1} }), "for gue only"},
		{"checksum of ipip", server(func(r *Server) { r.Method, r.Tunnel = TUN, Tunnel{Checksum: OuterChecksum} }), "not for ipip"},
		{"link-local server", server(func(r *Server) { r.Method, r.Address = TUN, netip.MustParseAddrPort("[fe80::1]:80") }), "link-local"},
		{"daemon", Desired{Sync: []SyncDaemon{{Role: SyncMaster, Interface: "eth0"}}}, ""},
		{"daemon without interface", Desired{Sync: []SyncDaemon{{Role: SyncMaster}}}, "use 1 to 15"},
		{"daemon to one", Desired{Sync: []SyncDaemon{{Role: SyncMaster, Interface: "eth0", Group: netip.MustParseAddr("10.0.0.1")}}}, "not multicast"},
		{"negative drain", Desired{Drain: -1}, "use 0 or more"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.d.Validate()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("Validate = %v, want nil", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("Validate = %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestMixedFamiliesExcludeSynchronization(t *testing.T) {
	s := service(1, 1)
	s.Servers[0].Address, s.Servers[0].Method = netip.MustParseAddrPort("[2001:db8::1]:80"), TUN
	d := Desired{Services: []Service{s}, Sync: []SyncDaemon{{Role: SyncBackup, Interface: "eth0"}}}
	if err := d.Validate(); err == nil || !strings.Contains(err.Error(), "excludes connection synchronization") {
		t.Errorf("Validate = %v, want the two named", err)
	}
}
