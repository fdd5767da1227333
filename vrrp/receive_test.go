package vrrp

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/hacluster/hacluster/vrrp/packet"
)

var (
	testSource = netip.MustParseAddr("192.0.2.1")
	testPeer   = netip.MustParseAddr("192.0.2.2")
	testGroup  = netip.MustParseAddr("224.0.0.18")
)

// received is a packet from testPeer that passes all checks of unitSpec(51),
// unless it is changed.
type received struct {
	advert packet.Advert
	src    netip.Addr
	dst    netip.Addr
	ttl    uint8
	sum    packet.Checksum
}

func (r received) packet(t testing.TB) Packet {
	t.Helper()
	payload, err := r.advert.Append(nil, r.src, r.dst, r.sum)
	if err != nil {
		t.Fatal(err)
	}
	return Packet{Src: r.src, Dst: r.dst, TTL: r.ttl, Payload: payload}
}

func TestReceptionRefusesWhatTheRFCsSay(t *testing.T) {
	pass := func(i *InstanceSpec) {
		i.Wire.Auth, i.Wire.AuthData = packet.AuthPass, [8]byte([]byte("secret12"))
	}
	v3 := func(i *InstanceSpec) { i.Version = 3 }
	unicast := func(i *InstanceSpec) {
		i.Wire.Unicast = true
		i.Wire.Peers = []Peer{{Addr: testPeer, MinTTL: 250, MaxTTL: 254}}
	}
	toUs := func(r *received) { r.dst, r.ttl = testSource, 254 }

	tests := []struct {
		name   string
		spec   []func(*InstanceSpec)
		change []func(*received)
		want   packet.Reason // empty: accepted
		differ bool
	}{{
		name: "as configured",
	}, {
		name:   "TTL below 255",
		change: []func(*received){func(r *received) { r.ttl = 254 }},
		want:   reasonTTL,
	}, {
		name: "unicast with a TTL in the peer's range",
		spec: []func(*InstanceSpec){unicast}, change: []func(*received){toUs},
	}, {
		name: "unicast with a TTL below the peer's least",
		spec: []func(*InstanceSpec){unicast}, change: []func(*received){toUs, func(r *received) { r.ttl = 249 }},
		want: reasonTTL,
	}, {
		name: "unicast with a TTL above the peer's most",
		spec: []func(*InstanceSpec){unicast}, change: []func(*received){toUs, func(r *received) { r.ttl = 255 }},
		want: reasonTTL,
	}, {
		name: "other version",
		spec: []func(*InstanceSpec){v3},
		want: packet.ReasonVersion,
	}, {
		name: "no authentication where a password is configured",
		spec: []func(*InstanceSpec){pass},
		want: packet.ReasonAuth,
	}, {
		name: "right password",
		spec: []func(*InstanceSpec){pass},
		change: []func(*received){func(r *received) {
			r.advert.Auth, r.advert.AuthData = packet.AuthPass, [8]byte([]byte("secret12"))
		}},
	}, {
		name: "wrong password",
		spec: []func(*InstanceSpec){pass},
		change: []func(*received){func(r *received) {
			r.advert.Auth, r.advert.AuthData = packet.AuthPass, [8]byte([]byte("secret13"))
		}},
		want: reasonAuthData,
	}, {
		name:   "other interval in version 2",
		change: []func(*received){func(r *received) { r.advert.Interval = 2 * time.Second }},
		want:   packet.ReasonInterval,
	}, {
		name: "other interval in version 3",
		spec: []func(*InstanceSpec){v3},
		change: []func(*received){func(r *received) {
			r.advert.Version, r.advert.Interval = 3, 2*time.Second
		}},
	}, {
		name: "version 3 without pseudo-header",
		spec: []func(*InstanceSpec){v3},
		change: []func(*received){func(r *received) {
			r.advert.Version, r.sum = 3, packet.ChecksumPlain
		}},
	}, {
		name: "old unicast checksum",
		spec: []func(*InstanceSpec){v3, unicast},
		change: []func(*received){toUs, func(r *received) {
			r.advert.Version, r.sum = 3, packet.ChecksumGroup
		}},
	}, {
		name: "old unicast checksum where it is never detected",
		spec: []func(*InstanceSpec){v3, unicast, func(i *InstanceSpec) { i.Wire.NoChecksumDetect = true }},
		change: []func(*received){toUs, func(r *received) {
			r.advert.Version, r.sum = 3, packet.ChecksumGroup
		}},
		want: packet.ReasonChecksum,
	}, {
		name:   "unicast for a multicast instance",
		change: []func(*received){func(r *received) { r.dst = testSource }},
		want:   reasonDestination,
	}, {
		name: "multicast for a unicast instance",
		spec: []func(*InstanceSpec){unicast},
		want: reasonDestination,
	}, {
		name:   "another group",
		change: []func(*received){func(r *received) { r.dst = netip.MustParseAddr("224.0.0.19") }},
		want:   reasonDestination,
	}, {
		name:   "unicast from a stranger",
		spec:   []func(*InstanceSpec){unicast},
		change: []func(*received){toUs, func(r *received) { r.src = netip.MustParseAddr("192.0.2.3") }},
	}, {
		name: "unicast from a stranger where peers are checked",
		spec: []func(*InstanceSpec){unicast, func(i *InstanceSpec) { i.Wire.CheckSource = true }},
		change: []func(*received){toUs, func(r *received) {
			r.src = netip.MustParseAddr("192.0.2.3")
		}},
		want: reasonSource,
	}, {
		name:   "from our own address",
		change: []func(*received){func(r *received) { r.src = testSource }},
		want:   reasonOwn,
	}, {
		name:   "other addresses",
		change: []func(*received){func(r *received) { r.advert.Addrs = []netip.Addr{netip.MustParseAddr("10.0.0.99")} }},
		differ: true,
	}, {
		name:   "other addresses that nobody compares",
		spec:   []func(*InstanceSpec){func(i *InstanceSpec) { i.Wire.SkipCheckAddrs = true }},
		change: []func(*received){func(r *received) { r.advert.Addrs = nil }},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			unit := unitSpec(51, 100, tt.spec...)
			r := received{
				advert: packet.Advert{Version: 2, VRID: 51, Priority: 150, Interval: time.Second,
					Addrs: []netip.Addr{unit.Instances[0].Addresses[0].Prefix.Addr()}},
				src: testPeer, dst: testGroup, ttl: 255,
			}
			for _, f := range tt.change {
				f(&r)
			}
			var judge receiver
			judge.reset(&unit.Instances[0], testSource)
			p := r.packet(t)
			v, repeated := judge.judge(&p)
			if v.reason != tt.want {
				t.Errorf("reason = %q (%s), want %q", v.reason, v.detail, tt.want)
			}
			if v.differs != tt.differ {
				t.Errorf("differs = %v, want %v", v.differs, tt.differ)
			}
			if repeated {
				t.Error("the first packet counts as repeated")
			}
			if again, repeated := judge.judge(&p); !repeated || again.reason != tt.want {
				t.Errorf("judged again: reason = %q, repeated = %v; want %q, true", again.reason, repeated, tt.want)
			}
		})
	}
}

func TestDispatchPrefersTheInstanceThatIsAddressed(t *testing.T) {
	// The same VRID on one interface: two sets of peers and the group.
	var candidates []*instanceShell
	for _, peer := range []string{"192.0.2.2", "192.0.2.3", ""} {
		unit := unitSpec(51, 100, func(i *InstanceSpec) {
			i.Name = "to " + peer
			if peer != "" {
				i.Wire.Unicast = true
				i.Wire.Peers = []Peer{{Addr: netip.MustParseAddr(peer)}}
			}
		})
		i := &instanceShell{spec: &unit.Instances[0]}
		i.receiver.reset(i.spec, testSource)
		candidates = append(candidates, i)
	}
	s := &openSocket{instances: map[VRID][]*instanceShell{51: candidates}}

	tests := []struct {
		name     string
		src, dst string
		vrid     byte
		want     string
	}{
		{"first peer", "192.0.2.2", "192.0.2.1", 51, "to 192.0.2.2"},
		{"second peer", "192.0.2.3", "192.0.2.1", 51, "to 192.0.2.3"},
		{"group", "192.0.2.3", "224.0.0.18", 51, "to "},
		{"stranger", "192.0.2.9", "192.0.2.1", 51, "to 192.0.2.2"},
		{"unknown VRID", "192.0.2.2", "192.0.2.1", 52, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Packet{Src: netip.MustParseAddr(tt.src), Dst: netip.MustParseAddr(tt.dst), Payload: []byte{0x21, tt.vrid}}
			got := ""
			if i := s.addressee(&p); i != nil {
				got = i.spec.Name
			}
			if got != tt.want {
				t.Errorf("addressee = %q, want %q", got, tt.want)
			}
		})
	}
}

// FuzzReceive throws bytes at the whole pipeline behind the socket: header,
// dispatch, judgement.
func FuzzReceive(f *testing.F) {
	unit := unitSpec(51, 100)
	good := received{
		advert: packet.Advert{Version: 2, VRID: 51, Priority: 150, Interval: time.Second,
			Addrs: []netip.Addr{unit.Instances[0].Addresses[0].Prefix.Addr()}},
		src: testPeer, dst: testGroup, ttl: 255,
	}.packet(f)
	header := []byte{0x45, 0xc0, 0, 40, 0, 1, 0, 0, 255, 112, 0, 0, 192, 0, 2, 2, 224, 0, 0, 18}
	f.Add(slices.Concat(header, good.Payload))
	f.Add(header)
	f.Add(header[:7])
	f.Add(append([]byte{0x4f}, header[1:]...)) // options that are not there
	f.Add(slices.Concat(header, []byte{0x31, 51}))

	f.Fuzz(func(t *testing.T, b []byte) {
		var p Packet
		if !splitIPv4(b, &p) {
			return
		}
		i := &instanceShell{spec: &unit.Instances[0]}
		i.receiver.reset(i.spec, testSource)
		s := &openSocket{instances: map[VRID][]*instanceShell{51: {i}}}
		if s.addressee(&p) == nil {
			return
		}
		first, _ := i.receiver.judge(&p)
		reason, advert := first.reason, first.advert
		if reason == "" && (p.TTL != 255 || p.Dst != testGroup || advert.Version != 2 || advert.Interval != time.Second) {
			t.Errorf("accepted TTL %d, destination %v, %+v", p.TTL, p.Dst, advert)
		}
		again, repeated := i.receiver.judge(&p)
		if !repeated || again.reason != reason {
			t.Errorf("judged again: %q, want %q", again.reason, reason)
		}
	})
}

// FuzzControl reads control messages, which come from the kernel only, but are
// bytes nevertheless.
func FuzzControl(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{20, 0, 0, 0, 0, 0, 0, 0, 41, 0, 0, 0, 52, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, 41, 0, 0, 0, 50, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Packet
		if readControl(b, &p) && !p.Dst.Is6() {
			t.Errorf("destination %v is no IPv6 address", p.Dst)
		}
	})
}
