package vrrp

import (
	"testing"

	"golang.org/x/net/bpf"
)

func TestFilterPassesExactlyTheSubscribedVRIDs(t *testing.T) {
	var set VRIDSet
	for _, id := range []VRID{1, 31, 32, 51, 64, 127, 200, 255} {
		set.Add(id)
	}
	for _, family := range []Family{IPv4, IPv6} {
		vm, err := bpf.NewVM(vridFilter(family, set))
		if err != nil {
			t.Fatal(err)
		}
		for id := range 256 {
			packet := []byte{0x31, byte(id), 100, 0}
			if family == IPv4 {
				header := make([]byte, 24) // with one word of options
				header[0] = 0x46
				packet = append(header, packet...)
			}
			n, err := vm.Run(packet)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := n > 0, set.Has(VRID(id)); got != want {
				t.Errorf("%v: VRID %d passes = %v, want %v", family, id, got, want)
			}
		}
	}
}

func TestFilterDropsWhatIsTooShort(t *testing.T) {
	var set VRIDSet
	set.Add(1)
	for _, family := range []Family{IPv4, IPv6} {
		vm, err := bpf.NewVM(vridFilter(family, set))
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := vm.Run([]byte{0x31}); n != 0 {
			t.Errorf("%v: a packet of one byte passes", family)
		}
	}
}
