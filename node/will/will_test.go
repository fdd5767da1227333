package will

import (
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/hacluster/hacluster/internal/supervisor"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// deposited is a supervisor's side as the test sees it.
type deposited map[string]supervisor.Clause

func (d deposited) Put(name string, c supervisor.Clause) error {
	if len(c.Addresses)+len(c.Words) == 0 {
		delete(d, name)
	} else {
		d[name] = c
	}
	return nil
}

// fakeSeal puts its generation in front.
type fakeSeal struct{ generation uint64 }

func (s *fakeSeal) SealGeneration() uint64 { return s.generation }

func (s *fakeSeal) Seal(payload []byte, members []string) ([]byte, []netip.AddrPort, error) {
	var to []netip.AddrPort
	for n := range members {
		to = append(to, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(n + 2)}), 7113))
	}
	return fmt.Appendf(nil, "%d:%s", s.generation, payload), to, nil
}

func TestTheLastRecordIsSealedAgainWhenKeysOrMembersChange(t *testing.T) {
	kept, seal := deposited{}, &fakeSeal{}
	k := New(slog.New(slog.DiscardHandler), kept)
	say := func(payloads ...string) {
		var w splitbrain.Will
		for _, p := range payloads {
			for _, to := range []string{"b", "c"} {
				w = append(w, splitbrain.Outgoing{To: to, Payload: []byte(p)})
			}
		}
		k.Say(w, seal)
	}
	want := func(when string, lines ...string) {
		t.Helper()
		var got []string
		for _, name := range slices.Sorted(maps.Keys(kept)) {
			w := kept[name].Words[0]
			got = append(got, fmt.Sprintf("%s %s to %d", name, w.Payload, len(w.To)))
		}
		if !slices.Equal(got, lines) {
			t.Errorf("%s: deposited %q, want %q", when, got, lines)
		}
	}
	say("one", "two")
	want("before the mesh runs")
	seal.generation = 1
	k.Refresh()
	want("when it runs", "record 0 1:one to 2", "record 1 1:two to 2")
	seal.generation = 2
	k.Refresh()
	want("with another key", "record 0 2:one to 2", "record 1 2:two to 2")
	say("three")
	want("a shorter record", "record 0 2:three to 2")
	k.Forget()
	k.Refresh()
	want("after the goodbye")
}

func TestAnInstanceIsCoveredWhileItHolds(t *testing.T) {
	kept := deposited{}
	k := New(slog.New(slog.DiscardHandler), kept)
	addr := vrrp.Address{Prefix: netip.MustParsePrefix("192.0.2.100/24"), Interface: "eth0"}
	k.Instance(vrrp.Will{
		Instance: "VI_1", Addresses: []vrrp.Address{addr}, Index: 7, Silence: 2e9,
		Farewell: []vrrp.Datagram{{Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("224.0.0.18"), TTL: 255, Payload: []byte{0x31}}},
	})
	c, ok := kept["instance VI_1"]
	if !ok || len(c.Addresses) != 1 || c.Addresses[0].Prefix != addr.Prefix || c.Silence != 2e9 ||
		len(c.Words) != 1 || c.Words[0].Protocol != 112 || c.Words[0].Interface != 7 {
		t.Errorf("deposited %+v", kept)
	}
	k.Instance(vrrp.Will{Instance: "VI_1", Silence: 2e9})
	if len(kept) != 0 {
		t.Errorf("still deposited %+v", kept)
	}
}
