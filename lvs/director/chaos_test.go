package director_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/check"
	"github.com/hacluster/hacluster/lvs/director"
)

// Servers flap and weights change for ten minutes while reloads come and go.
// Nothing is refused, and in the end the kernel holds what a director would want
// that had seen nothing but the end.
func TestTheKernelIsRightAfterTenMinutesOfChaos(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		random := rand.New(rand.NewPCG(1, 2))
		const services, servers = 8, 3
		full := make([]director.Service, services)
		var names []string
		for i := range full {
			full[i] = w.service(servers)
			full[i].Name = fmt.Sprint("web", i)
			full[i].Keys = []lvs.Key{{Protocol: lvs.TCP, Address: netip.AddrPortFrom(vip, uint16(1000+i))}}
			full[i].Quorum = uint32(1 + i%3)
			full[i].Hysteresis = full[i].Quorum / 2
			if i%2 == 0 {
				full[i].Sorry = &director.SorryServer{Server: lvs.Server{Address: sorry, Weight: 1}}
			}
			for j := range full[i].Servers {
				name := fmt.Sprintf("web%d server%d", i, j)
				full[i].Servers[j].Checks = []director.Check{w.check(name)}
				full[i].Servers[j].Inhibit = (i+j)%2 == 0
				names = append(names, name)
			}
		}
		w.apply(full...)
		for range 600 {
			w.mu.Lock()
			for range random.IntN(4) {
				w.found[names[random.IntN(len(names))]] = check.Result{
					Up:     random.IntN(3) > 0,
					Weight: check.Weight{Op: check.WeightSet, Value: random.IntN(5)},
				}
			}
			w.mu.Unlock()
			if random.IntN(20) == 0 {
				some := slices.Clone(full)
				random.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
				w.apply(some[:random.IntN(len(some)+1)]...)
			}
			w.sleep(time.Second)
		}
		// A latch of quorum knows what was; so that another director can say what is
		// right, all is up in the end.
		w.mu.Lock()
		for i, name := range names {
			w.found[name] = check.Result{Up: true, Weight: check.Weight{Op: check.WeightSet, Value: 1 + i}}
		}
		w.mu.Unlock()
		w.apply(full...)
		w.sleep(2 * time.Minute)
		w.mu.Lock()
		if len(w.refused) > 0 {
			t.Errorf("refused: %v", w.refused)
		}
		w.mu.Unlock()
		var want []lvs.Service
		for i, s := range full {
			service := lvs.Service{Key: s.Keys[0], Settings: s.Settings}
			for j, r := range s.Servers {
				r.Server.Weight = uint32(1 + i*servers + j)
				service.Servers = append(service.Servers, r.Server)
			}
			want = append(want, service)
		}
		have, err := w.kernel.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if ops := lvs.Diff(want, have, nil); len(ops) > 0 || len(have) != len(want) {
			t.Errorf("%d services, want %d; what would make them right: %v", len(have), len(want), ops)
		}
	})
}
