package mesh

import (
	"bytes"
	"testing"
)

func newTestSealer(t testing.TB, cluster string, keys ...[]byte) *sealer {
	t.Helper()
	s, err := newSealer(cluster, keys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealedHeartbeatOpensWithAnyKeyOfTheRing(t *testing.T) {
	from := newTestSealer(t, "c1", key1)
	sealed, err := from.seal(nil, []byte("payload"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		to   *sealer
		want bool
	}{
		{"same key", newTestSealer(t, "c1", key1), true},
		{"key behind another", newTestSealer(t, "c1", key2, key1), true},
		{"another key", newTestSealer(t, "c1", key2), false},
		{"another cluster", newTestSealer(t, "c2", key1), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 { // the second time the sender is known
				payload, ok := tt.to.open(nil, sealed)
				if ok != tt.want || ok && string(payload) != "payload" {
					t.Errorf("open = %q, %t, want %t", payload, ok, tt.want)
				}
			}
		})
	}
}

func TestEveryChangedBitIsNoticed(t *testing.T) {
	from, to := newTestSealer(t, "c1", key1), newTestSealer(t, "c1", key1)
	sealed, err := from.seal(nil, []byte("payload"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, ok := to.open(nil, changed); ok {
			t.Errorf("open took a change in byte %d", i)
		}
		if _, ok := to.open(nil, sealed[:i]); ok {
			t.Errorf("open took the first %d bytes", i)
		}
	}
}

func TestRememberedSendersAreBounded(t *testing.T) {
	to := newTestSealer(t, "c1", key1)
	for range 3 * knownSenders {
		sealed, err := newTestSealer(t, "c1", key1).seal(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := to.open(nil, sealed); !ok || len(to.others) > knownSenders {
			t.Fatalf("open = %t with %d senders known", ok, len(to.others))
		}
	}
}

func FuzzOpen(f *testing.F) {
	from := newTestSealer(f, "c1", key1)
	sealed, err := from.seal(nil, []byte("payload"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{})
	f.Add(sealed[:sealHeader+tagLen])
	f.Add(sealed[:len(sealed)-1])
	to := newTestSealer(f, "c1", key2, key1)
	f.Fuzz(func(t *testing.T, b []byte) {
		if payload, ok := to.open(nil, b); ok && !bytes.Equal(b, sealed) {
			t.Errorf("open took %x as %x", b, payload)
		}
	})
}
