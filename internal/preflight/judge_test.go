package preflight

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var vip = netip.MustParseAddr("192.0.2.100")

// healthy are the reports of nodes that hear each other by everything.
func healthy(names ...string) []Asked {
	var out []Asked
	for i, name := range names {
		own := netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})
		r := &Report{
			Node: name, Addrs: []netip.Addr{own}, MACs: []string{"02:00:00:00:00:0" + string('1'+rune(i))},
			Tries: true, Calls: true, Called: true,
			Networks: []Network{{Interface: "eth0", Source: own, Group: netip.MustParseAddr("224.0.0.18"), Instances: []string{"VI"}, VRIDs: []int{51}, VIPs: []netip.Addr{vip}}},
		}
		for _, other := range names {
			if other != name {
				r.Heard = append(r.Heard, Heard{other, "eth0", false, Multicast}, Heard{other, "eth0", false, Unicast})
				r.Tried = append(r.Tried, other)
				r.Links = append(r.Links, Link{Peer: other, Heartbeat: time.Millisecond, Gossip: "alive"})
			}
		}
		out = append(out, Asked{Name: name, Report: r})
	}
	return out
}

func TestFindingsOfReports(t *testing.T) {
	drop := func(r *Report, from string, kind Kind) {
		r.Heard = slices.DeleteFunc(r.Heard, func(h Heard) bool { return h.From == from && h.Kind == kind })
	}
	tests := []struct {
		name  string
		spoil func(a []Asked)
		want  []string // what is not ok: severity, check, node and words
	}{
		{"all is well", func([]Asked) {}, nil},
		{"a node does not answer", func(a []Asked) { a[2].Report, a[2].Err = nil, "connection refused" },
			[]string{"error api c: c does not answer, and was not examined"}},
		{"nothing passes one way", func(a []Asked) { drop(a[1].Report, "a", Multicast); drop(a[1].Report, "a", Unicast) },
			[]string{"error l2 b: IP protocol 112 does not pass from a to b on eth0 (VI)"}},
		{"the group is pruned", func(a []Asked) { drop(a[1].Report, "a", Multicast) },
			[]string{"error l2 b: multicast does not pass from a to b on eth0 (VI), and unicast does"}},
		{"only multicast passes", func(a []Asked) { drop(a[1].Report, "a", Unicast) },
			[]string{"warning l2 b: unicast of protocol 112 does not pass from a to b on eth0 (VI)"}},
		{"unicast peers need no multicast", func(a []Asked) {
			for i := range a {
				a[i].Report.Networks[0].Unicast = true
			}
			drop(a[1].Report, "a", Multicast)
		}, nil},
		{"nodes without a common instance are not compared", func(a []Asked) {
			a[1].Report.Networks[0].Instances = []string{"other"}
			a[1].Report.Heard = nil
		}, nil},
		{"a stranger has our virtual router", func(a []Asked) {
			for i := range a {
				a[i].Report.Routers = []Router{
					{Interface: "eth0", Source: netip.MustParseAddr("192.0.2.1"), VRID: 51, Version: 2, Priority: 100},
					{Interface: "eth0", Source: netip.MustParseAddr("192.0.2.9"), VRID: 51, Version: 3, Priority: 50},
					{Interface: "eth0", Source: netip.MustParseAddr("192.0.2.9"), VRID: 7, Version: 3, Priority: 50},
				}
			}
		}, []string{
			"error vrid a: 192.0.2.9 advertises virtual router 51 (version 3, priority 50) on eth0 of a, and is no member",
			"note vrid a: 192.0.2.9 advertises virtual router 7 (version 3, priority 50) on eth0 of a, which this cluster does not use",
		}},
		{"a stranger answers", func(a []Asked) {
			a[1].Report.Responders = []Responder{{"eth0", vip, "02:00:00:00:00:09"}, {"eth0", vip, "02:00:00:00:00:01"}}
		}, []string{"error vip : 192.0.2.100 is answered for by 02:00:00:00:00:09, which is no member"}},
		{"two members answer", func(a []Asked) {
			a[2].Report.Responders = []Responder{{"eth0", vip, "02:00:00:00:00:02"}, {"eth0", vip, "02:00:00:00:00:01"}}
		}, []string{"error vip : 192.0.2.100 is answered for by a and b"}},
		{"one that would not hear the owner", func(a []Asked) {
			a[0].Report.Networks[0].Source = vip
			for i := range a {
				a[i].Report.Networks[0].DropsOwn = i < 2
			}
		}, []string{"warning owner b: b does not hear the adverts of a, the owner of 192.0.2.100, while it holds that address: only heartbeats tell it that a is back"}},
		{"no owner, so nobody needs to hear one", func(a []Asked) {
			for i := range a {
				a[i].Report.Networks[0].DropsOwn = true
			}
		}, nil},
		{"heartbeats one way", func(a []Asked) {
			a[0].Report.Links[0].Heartbeat = 9 * time.Second
			a[1].Report.Links[1].Heartbeat = -1
		}, []string{
			"error heartbeat a: heartbeats of b do not reach a: the last came 9s ago",
			"error heartbeat b: heartbeats of c do not reach b: none ever came",
		}},
		{"gossip is blocked", func(a []Asked) { a[0].Report.Links[0].Gossip = "lost" },
			[]string{"warning gossip a: a has lost b in gossip"}},
		{"clocks differ", func(a []Asked) { a[1].Offset, a[2].Offset = -2*time.Second, 6*time.Minute },
			[]string{"error clock c: the clock of c is 6m0s off", "warning clock b: the clock of b is -2s off"}},
		{"what a node found itself", func(a []Asked) {
			a[0].Report.Findings = []Finding{{Severity: Note, Check: "realtime", Node: "a", Summary: "no"}}
		}, []string{"note realtime a: no"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked := healthy("a", "b", "c")
			tt.spoil(asked)
			var got []string
			for _, f := range Judge(asked) {
				if f.Severity == Error && f.Remedy == "" {
					t.Errorf("no remedy: %+v", f)
				}
				if f.Severity != OK {
					got = append(got, string(f.Severity)+" "+f.Check+" "+f.Node+": "+f.Summary)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("findings\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestAnOwnerAloneSaysWhatTheOthersNeed(t *testing.T) {
	asked := healthy("a")
	asked[0].Report.Networks[0].Source = vip
	for _, f := range Judge(asked) {
		if f.Check == "owner" {
			if f.Severity != Note || !strings.Contains(f.Remedy, "net.ipv4.conf.eth0.accept_local=1 on the other machines") {
				t.Errorf("finding %+v", f)
			}
			return
		}
	}
	t.Error("nothing is said")
}

func TestOwnAddressesAreHeardByEitherSetting(t *testing.T) {
	for _, tt := range []struct {
		all, eth0 string
		want      bool
	}{{"0", "0", true}, {"1", "0", false}, {"0", "1", false}, {"", "", false}} {
		root := t.TempDir()
		for name, value := range map[string]string{"all": tt.all, "eth0": tt.eth0} {
			dir := filepath.Join(root, "proc/sys/net/ipv4/conf", name)
			must(t, os.MkdirAll(dir, 0o755))
			if value != "" {
				must(t, os.WriteFile(filepath.Join(dir, "accept_local"), []byte(value+"\n"), 0o644))
			}
		}
		if got := dropsOwn(root, "eth0"); got != tt.want {
			t.Errorf("all %q, eth0 %q: dropsOwn = %v, want %v", tt.all, tt.eth0, got, tt.want)
		}
	}
}

func TestTwoNodesAreToldOfAWitness(t *testing.T) {
	f := Judge(healthy("a", "b"))
	if Worst(f) != Note || f[0].Check != "voters" || !strings.Contains(f[0].Remedy, "join --witness") {
		t.Errorf("findings %+v", f)
	}
}

func TestAReportSurvivesItsJourney(t *testing.T) {
	want := *healthy("a", "b")[0].Report
	want.At = time.Date(2026, 11, 21, 18, 0, 0, 5, time.UTC)
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal(data, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v (%v), want %+v", got, err, want)
	}
}
