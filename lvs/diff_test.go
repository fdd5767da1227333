package lvs

import (
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func TestDiffNamesWhatDiffersAndNothingElse(t *testing.T) {
	sh := service(1, 1, 1)
	sh.Scheduler = "sh"
	persistent := service(1, 1)
	persistent.Persistence = Persistence{Timeout: time.Minute}
	host := persistent
	host.Persistence.MaskBits = 32
	masked := service(1, 1)
	masked.Persistence.MaskBits = 32 // as the kernel says of services without persistence
	other := service(1, 1)
	other.Servers[0].Address = backend(9)

	tests := []struct {
		name  string
		want  []Service
		have  []Service
		owned []Service
		ops   []string
	}{{
		name: "equal",
		want: []Service{service(1, 1, 1), service(2)},
		have: []Service{service(1, 1, 1), service(2)},
	}, {
		name: "a weight",
		want: []Service{service(1, 1, 70000)},
		have: []Service{service(1, 1, 1)},
		ops:  []string{"set tcp 192.0.2.1:80 server 10.0.0.2:80 NAT weight 70000"},
	}, {
		name: "a scheduler",
		want: []Service{sh},
		have: []Service{service(1, 1, 1)},
		ops:  []string{"set tcp 192.0.2.1:80 sh"},
	}, {
		name: "all of the address is the mask of its length",
		want: []Service{persistent},
		have: []Service{host},
	}, {
		name: "a mask without persistence counts for nothing",
		want: []Service{service(1, 1)},
		have: []Service{masked},
	}, {
		name: "new ones come with their servers, in the order of keys",
		want: []Service{service(2), service(1, 1)},
		ops: []string{
			"add tcp 192.0.2.1:80 wlc",
			"add tcp 192.0.2.1:80 server 10.0.0.1:80 NAT weight 1",
			"add tcp 192.0.2.2:80 wlc",
		},
	}, {
		name:  "a replacement comes before the old server goes",
		want:  []Service{other},
		have:  []Service{service(1, 1)},
		owned: []Service{service(1, 1)},
		ops: []string{
			"add tcp 192.0.2.1:80 server 10.0.0.9:80 NAT weight 1",
			"delete tcp 192.0.2.1:80 server 10.0.0.1:80",
		},
	}, {
		name:  "a service of ours goes with its servers",
		have:  []Service{service(1, 1, 1)},
		owned: []Service{service(1, 1, 1)},
		ops:   []string{"delete tcp 192.0.2.1:80"},
	}, {
		name:  "a service of ours with a foreign server stays",
		have:  []Service{service(1, 1, 1)},
		owned: []Service{service(1, 1)},
		ops:   []string{"delete tcp 192.0.2.1:80 server 10.0.0.1:80"},
	}, {
		name: "foreign ones stay",
		want: []Service{service(1, 1)},
		have: []Service{service(1, 1, 1), service(2, 1)},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := texts(Diff(tt.want, stateOf(tt.have...), ownedBy(tt.owned...)))
			if diff := cmp.Diff(tt.ops, got); diff != "" {
				t.Errorf("Diff (-want +got):\n%s", diff)
			}
		})
	}
}

// expected is what must be there after Diff: what is wanted, and all that was
// there and is neither wanted nor owned.
func expected(want, have []Service, owned Owned) []Service {
	services := make(map[Key]Service)
	for _, h := range have {
		foreign := Service{Key: h.Key, Settings: h.Settings}
		for _, r := range h.Servers {
			if !owned[Entry{Service: h.Key, Server: r.Address}] {
				foreign.Servers = append(foreign.Servers, r)
			}
		}
		if len(foreign.Servers) > 0 || !owned[Entry{Service: h.Key}] {
			services[h.Key] = foreign
		}
	}
	for _, w := range want {
		s := Service{Key: w.Key, Settings: w.Settings, Servers: slices.Clone(w.Servers)}
		for _, r := range services[w.Key].Servers {
			if !s.has(r.Address) {
				s.Servers = append(s.Servers, r)
			}
		}
		services[w.Key] = s
	}
	return slices.SortedFunc(maps.Values(services), func(a, b Service) int { return a.Compare(b.Key) })
}

// normal lists what a table holds, such that what the kernel does not tell apart
// is equal.
func (t table) normal() []Service {
	var list []Service
	for k, s := range t {
		out := Service{Key: k, Settings: s.Settings}
		for _, r := range s.Servers {
			out.Servers = append(out.Servers, r.Server)
		}
		list = append(list, out)
	}
	return normal(list)
}

func normal(list []Service) []Service {
	for i := range list {
		s := &list[i]
		s.Settings = s.Settings.normal(s.Family())
		for j := range s.Servers {
			s.Servers[j] = s.Servers[j].normal()
		}
		slices.SortFunc(s.Servers, func(a, b Server) int { return a.Address.Compare(b.Address) })
	}
	slices.SortFunc(list, func(a, b Service) int { return a.Compare(b.Key) })
	return list
}

func TestDiffAppliedGivesWhatIsWantedAndKeepsWhatIsForeign(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want, have := genServices(t, "want"), genServices(t, "have")
		owned := make(Owned)
		for e := range ownedBy(have...) {
			if rapid.Bool().Draw(t, "owned") {
				owned[e] = true
			}
		}
		kernel := tableOf(stateOf(have...))
		for _, op := range Diff(want, stateOf(have...), owned) {
			kernel.apply(op)
		}
		opts := cmp.Options{cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateEmpty()}
		if diff := cmp.Diff(normal(expected(want, have, owned)), kernel.normal(), opts); diff != "" {
			t.Fatalf("after Diff (-want +got):\n%s", diff)
		}
		var again []ServiceState
		for _, s := range kernel {
			again = append(again, *s)
		}
		if ops := Diff(want, again, owned); len(ops) > 0 {
			t.Fatalf("a second Diff writes %v", texts(ops))
		}
	})
}

func TestDaemonsStopBeforeServicesChangeAndStartAfter(t *testing.T) {
	master := SyncDaemon{Role: SyncMaster, Interface: "eth0", ID: 51}
	kernels := master // as the kernel shows it, with what it chose
	kernels.MaxLen, kernels.Group, kernels.Port, kernels.TTL = 1472, netip.MustParseAddr("224.0.0.81"), 8848, 1
	moved := master
	moved.Interface = "eth1"
	backup := SyncDaemon{Role: SyncBackup, Interface: "eth0"}

	tests := []struct {
		name        string
		want, have  []SyncDaemon
		owned       Owned
		stop, start []string
	}{
		{name: "equal", want: []SyncDaemon{master}, have: []SyncDaemon{kernels}},
		{
			name: "changed", want: []SyncDaemon{moved}, have: []SyncDaemon{kernels},
			stop:  []string{"stop sync daemon master"},
			start: []string{"start sync daemon master on eth1 to 224.0.0.81 port 8848, id 51"},
		},
		{name: "foreign", have: []SyncDaemon{backup}},
		{
			name: "ours", have: []SyncDaemon{backup}, owned: Owned{Entry{Sync: SyncBackup}: true},
			stop: []string{"stop sync daemon backup"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stop, start := DiffSync(tt.want, tt.have, tt.owned)
			if diff := cmp.Diff([][]string{tt.stop, tt.start}, [][]string{texts(stop), texts(start)}); diff != "" {
				t.Errorf("DiffSync (-want +got):\n%s", diff)
			}
		})
	}
}
