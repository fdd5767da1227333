package preflight

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFindingsOfAJoin(t *testing.T) {
	drop := func(r *Report, from string, kind Kind) {
		r.Heard = slices.DeleteFunc(r.Heard, func(h Heard) bool { return h.From == from && h.Kind == kind })
	}
	const printer = "02:00:00:00:00:09"
	foreign := netip.MustParseAddr("192.0.2.9")
	tests := []struct {
		name     string
		spoil    func(a []Asked)
		want     []string // what is not ok: severity, check, node and words
		refusing int
	}{
		{"all is well", func([]Asked) {}, nil, 0},
		{"protocol 112 does not reach a member", func(a []Asked) { drop(a[0].Report, "c", Multicast); drop(a[0].Report, "c", Unicast) },
			[]string{"error l2 a: IP protocol 112 does not pass from c to a on eth0 (VI)"}, 1},
		{"multicast alone does not reach it", func(a []Asked) { drop(a[2].Report, "b", Multicast) },
			[]string{"error l2 c: multicast does not pass from b to c on eth0 (VI), and unicast does"}, 1},
		{"unicast that nobody uses does not reach it", func(a []Asked) { drop(a[2].Report, "b", Unicast) },
			[]string{"warning l2 c: unicast of protocol 112 does not pass from b to c on eth0 (VI)"}, 0},
		{"what two members have between them is no matter of its", func(a []Asked) { drop(a[0].Report, "b", Multicast) }, nil, 0},
		{"heartbeats reach nobody", func(a []Asked) { a[0].Report.Tried, a[1].Report.Tried = nil, nil },
			[]string{"error heartbeat c: heartbeats do not pass from c to a, b, and no other member can pass them on"}, 1},
		{"heartbeats of nobody arrive", func(a []Asked) { a[2].Report.Tried = nil },
			[]string{"error heartbeat c: heartbeats do not pass to c from a, b, and no other member can pass them on"}, 1},
		{"heartbeats of one do not arrive", func(a []Asked) { a[2].Report.Tried = []string{"b"} },
			[]string{"warning heartbeat c: heartbeats do not pass to c from a: only other members can pass them on"}, 0},
		{"a member does not reach it by TCP", func(a []Asked) { a[1].Report.Called = false },
			[]string{"error api c: b does not reach c by TCP: without it, a leader there loses a vote"}, 0},
		{"a member of another version does not try that", func(a []Asked) { a[1].Report.Calls, a[1].Report.Called = false, false }, nil, 0},
		{"members of another version try no heartbeats", func(a []Asked) {
			for i := range 2 {
				a[i].Report.Tries, a[i].Report.Tried = false, nil
			}
			a[2].Report.Tried = nil
		}, nil, 0},
		{"a member is off", func(a []Asked) {
			a[1].Report, a[1].Err = nil, "connection refused"
			a[0].Report.Peers = []Peer{{"b", []netip.Addr{netip.MustParseAddr("192.0.2.2")}, []string{"02:00:00:00:00:02"}}}
			// Its VRRP goes on.
			a[2].Report.Routers = []Router{{Interface: "eth0", Source: netip.MustParseAddr("192.0.2.2"), VRID: 51, Version: 3, Priority: 90}}
			a[2].Report.Responders = []Responder{{"eth0", vip, "02:00:00:00:00:02"}}
		}, []string{"error api b: b does not answer, and was not examined"}, 0},
		{"a stranger answers", func(a []Asked) { a[0].Report.Responders = []Responder{{"eth0", vip, printer}} },
			[]string{"error vip : 192.0.2.100 is answered for by " + printer + ", which is no member"}, 1},
		{"it has the address itself beside the holder", func(a []Asked) {
			a[1].Report.Responders = []Responder{{"eth0", vip, "02:00:00:00:00:03"}, {"eth0", vip, "02:00:00:00:00:01"}}
		}, []string{"error vip : 192.0.2.100 is answered for by a and c"}, 1},
		{"a stranger has the virtual router", func(a []Asked) {
			a[2].Report.Routers = []Router{{Interface: "eth0", Source: foreign, VRID: 51, Version: 2, Priority: 200}}
		}, []string{"error vrid c: 192.0.2.9 advertises virtual router 51 (version 2, priority 200) on eth0 of c, and is no member"}, 1},
		{"one that may", func(a []Asked) {
			for i := range a {
				a[i].Report.Networks[0].AllowForeign = []netip.Addr{foreign}
			}
			a[2].Report.Routers = []Router{{Interface: "eth0", Source: foreign, VRID: 51, Version: 2, Priority: 200}}
			a[2].Report.Responders = []Responder{{"eth0", vip, printer}}
		}, []string{
			"note vip : 192.0.2.100 is answered for by " + printer + ", which is no member: 192.0.2.9, which may hold it, advertises now",
			"note vrid c: 192.0.2.9 advertises virtual router 51 (version 2, priority 200) on eth0 of c, as allow_foreign or unicast_peer says",
		}, 0},
		{"the network answers for every address", func(a []Asked) {
			a[2].Report.Responders = []Responder{{"eth0", netip.MustParseAddr("192.0.2.1"), printer}, {"eth0", vip, printer}}
		}, []string{"note vip : the network answers for every address itself, so who has a virtual address cannot be told by ARP or neighbour discovery"}, 0},
		{"its clock is ahead", func(a []Asked) { a[0].Offset, a[1].Offset = -3*time.Second, -2*time.Second },
			[]string{"warning clock c: the clock of c is 3s ahead of that of a"}, 0},
		{"its clock is far behind", func(a []Asked) { a[1].Offset = 6 * time.Minute },
			[]string{"error clock c: the clock of c is 6m0s behind that of b"}, 0},
		{"what it found on its machine counts, and what members found does not", func(a []Asked) {
			for i := range a {
				a[i].Report.Findings = []Finding{{Severity: Warning, Check: "gate", Node: a[i].Name, Summary: "none"}}
			}
		}, []string{"warning gate c: none"}, 0},
		{"keepalived runs on its machine", func(a []Asked) {
			a[2].Report.Findings = []Finding{{Severity: Error, Check: "keepalived", Node: "c", Summary: "runs", Remedy: "stop it", TwoHolders: true}}
		}, []string{"error keepalived c: runs"}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked := healthy("a", "b", "c")
			tt.spoil(asked)
			found := JudgeJoin("c", asked)
			var got []string
			for _, f := range found {
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
			if n := len(Refusing(found)); n != tt.refusing {
				t.Errorf("%d findings refuse, want %d", n, tt.refusing)
			}
		})
	}
}

// A witness is on no network of virtual addresses: what protocol 112 and strangers do
// there is not its matter.
func TestFindingsOfAWitness(t *testing.T) {
	const blocked = "error heartbeat c: heartbeats do not pass from c to a, b, and no other member can pass them on"
	tests := []struct {
		name     string
		spoil    func(a []Asked)
		want     []string
		refusing bool
	}{
		{"all is well", func([]Asked) {}, nil, false},
		{"nothing of protocol 112 is heard, and a stranger answers", func(a []Asked) {
			a[0].Report.Heard = nil
			a[0].Report.Responders = []Responder{{"eth0", vip, "02:00:00:00:00:09"}}
		}, nil, false},
		{"heartbeats reach nobody", func(a []Asked) { a[0].Report.Tried, a[1].Report.Tried = nil, nil }, []string{blocked}, true},
		{"heartbeats reach one member", func(a []Asked) { a[0].Report.Tried = nil },
			[]string{"warning heartbeat c: heartbeats do not pass from c to a: only other members can pass them on"}, false},
		{"a member does not reach it by TCP", func(a []Asked) { a[1].Report.Called = false },
			[]string{"error api c: b does not reach c by TCP: without it, a leader there loses a vote"}, false},
		{"its clock is far behind", func(a []Asked) { a[1].Offset = 6 * time.Minute },
			[]string{"error clock c: the clock of c is 6m0s behind that of b"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked := healthy("a", "b", "c")
			tt.spoil(asked)
			found := JudgeWitness("c", asked)
			var got []string
			for _, f := range found {
				if f.Severity != OK {
					got = append(got, string(f.Severity)+" "+f.Check+" "+f.Node+": "+f.Summary)
				}
				if f.TwoHolders {
					t.Errorf("a witness makes no two holders: %+v", f)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("findings\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			if r := Refusing(found); len(r) > 0 != tt.refusing {
				t.Errorf("refusing findings %v, want any: %v", r, tt.refusing)
			}
		})
	}
}
