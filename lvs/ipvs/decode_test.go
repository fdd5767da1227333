package ipvs

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hacluster/hacluster/internal/nlmsg"
	"github.com/hacluster/hacluster/lvs"
)

var (
	service = lvs.AddService{
		Key: lvs.Key{Protocol: lvs.UDP, Address: netip.MustParseAddrPort("[2001:db8::1]:53")},
		Settings: lvs.Settings{
			Scheduler: "mh", Flags: lvs.OnePacket | lvs.Flag2,
			Persistence: lvs.Persistence{Timeout: time.Hour, MaskBits: 64, Engine: "sip"},
		},
	}
	server = lvs.Server{
		Address: netip.MustParseAddrPort("10.0.0.9:53"), Method: lvs.TUN, Weight: lvs.MaxWeight,
		Tunnel: lvs.Tunnel{Type: lvs.GUE, Port: 6080, Checksum: lvs.RemoteChecksum}, UpperThreshold: 70000, LowerThreshold: 3,
	}
	daemon = lvs.SyncDaemon{Role: lvs.SyncBackup, Interface: "eth0", ID: 200, MaxLen: 1400, Group: netip.MustParseAddr("ff02::99"), Port: 9000, TTL: 7}
)

// message lays out an operation and returns it as the kernel would send it.
func message(op lvs.Op) nlmsg.Message {
	e := &encoder{family: 30}
	e.op(op)
	for m := range nlmsg.Messages(e.Bytes(1)) {
		return m
	}
	return nlmsg.Message{}
}

func attribute(t testing.TB, op lvs.Op, typ uint16) []byte {
	b, err := nested(message(op), typ)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhatIsLaidOutIsReadBack(t *testing.T) {
	opts := cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{})
	for _, k := range []lvs.Key{
		service.Key,
		{Protocol: lvs.TCP, Address: netip.MustParseAddrPort("192.0.2.1:80")},
		{Mark: 4294967295, MarkFamily: lvs.IPv4},
		{Mark: 1, MarkFamily: lvs.IPv6},
	} {
		add := service
		add.Key = k
		if k.Family() == lvs.IPv4 {
			add.Persistence.MaskBits = 24
		}
		got, err := decodeService(attribute(t, add, attrService))
		if diff := cmp.Diff(lvs.ServiceState{Key: k, Settings: add.Settings}, got, opts); err != nil || diff != "" {
			t.Errorf("service: %v (-want +got):\n%s", err, diff)
		}
	}
	s, err := decodeServer(attribute(t, lvs.AddServer{Key: service.Key, Server: server}, attrDest), lvs.IPv6)
	if diff := cmp.Diff(lvs.ServerState{Server: server}, s, opts); err != nil || diff != "" {
		t.Errorf("server: %v (-want +got):\n%s", err, diff)
	}
	d, err := decodeDaemon(attribute(t, lvs.StartSync{Daemon: daemon}, attrDaemon))
	if err != nil || d != daemon {
		t.Errorf("daemon: %v, %v, want %v", d, err, daemon)
	}
}

func TestMaskIsAPrefixOrOther(t *testing.T) {
	tests := []struct {
		family lvs.Family
		mask   []byte
		want   uint8
	}{
		{lvs.IPv4, []byte{255, 255, 255, 255}, 32},
		{lvs.IPv4, []byte{255, 255, 128, 0}, 17},
		{lvs.IPv4, []byte{255, 0, 255, 0}, lvs.MaskOther},
		{lvs.IPv4, []byte{0, 0, 0, 0}, lvs.MaskOther},
		{lvs.IPv4, nil, lvs.MaskOther},
		{lvs.IPv6, netmask(lvs.IPv6, 64), 64},
		{lvs.IPv6, netmask(lvs.IPv6, 0), 128},
		{lvs.IPv6, []byte{255, 255, 255, 255}, lvs.MaskOther},
	}
	for _, tt := range tests {
		if got := maskBits(tt.family, tt.mask); got != tt.want {
			t.Errorf("maskBits(%v, %v) = %d, want %d", tt.family, tt.mask, got, tt.want)
		}
	}
}

// FuzzDecode reads what might be the kernel's, and what can be read can be laid
// out and is read as the same again.
func FuzzDecode(f *testing.F) {
	for _, op := range []lvs.Op{service, lvs.AddServer{Key: service.Key, Server: server}, lvs.StartSync{Daemon: daemon}} {
		f.Add(message(op).Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := nlmsg.Message{Data: data}
		if b, err := nested(m, attrService); err == nil {
			if s, err := decodeService(b); err == nil {
				again, err := decodeService(attribute(t, lvs.AddService{Key: s.Key, Settings: s.Settings}, attrService))
				again.Counters = s.Counters
				if laysOut(s) && (err != nil || !cmp.Equal(s, again, cmpopts.EquateComparable(netip.AddrPort{}))) {
					t.Errorf("service %v is read again as %v, %v", s, again, err)
				}
			}
		}
		if b, err := nested(m, attrDest); err == nil {
			if s, err := decodeServer(b, lvs.IPv4); err == nil {
				again, err := decodeServer(attribute(t, lvs.AddServer{Key: service.Key, Server: s.Server}, attrDest), lvs.IPv4)
				if err != nil || again.Server != s.Server {
					t.Errorf("server %v is read again as %v, %v", s.Server, again.Server, err)
				}
			}
		}
		if b, err := nested(m, attrDaemon); err == nil {
			_, _ = decodeDaemon(b)
		}
	})
}

// laysOut reports whether a mask and a timeout can be laid out as they were
// read: there is persistence with a timeout, or none.
func laysOut(s lvs.ServiceState) bool {
	p := s.Persistence
	return p == (lvs.Persistence{}) || p.Timeout > 0 && p.MaskBits > 0 && p.MaskBits != lvs.MaskOther
}
