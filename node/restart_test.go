package node

import (
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/hacluster/hacluster/node/membership"
	"github.com/hacluster/hacluster/node/plane"
)

// Programs of the same format read each other's legacy: its names are part of it.
func TestALegacyIsWrittenUnderTheNamesOfItsFormat(t *testing.T) {
	l := legacy{
		Legacy: plane.Legacy{Format: plane.LegacyFormat, At: time.Second},
		Life:   membership.Life{Boot: 3, Incarnation: 5, Seq: 7, Arbiter: []byte("leases")},
	}
	data, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	var names map[string]any
	if err := json.Unmarshal(data, &names); err != nil {
		t.Fatal(err)
	}
	want := []string{"Addresses", "Arbiter", "At", "Boot", "Format", "Incarnation", "Seq", "Units"}
	if got := slices.Sorted(maps.Keys(names)); !slices.Equal(got, want) {
		t.Errorf("names are %q, want %q", got, want)
	}
	o := Options{Log: slog.New(slog.DiscardHandler), Inherited: data}
	if got := legacyOf(o); got.Seq != 7 || string(got.Arbiter) != "leases" || got.At != time.Second {
		t.Errorf("read as %+v", got)
	}
	o.Inherited = []byte(`{"Format": 2, "Seq": 7}`)
	if got := legacyOf(o); got.Seq != 0 {
		t.Errorf("a legacy of another format is read as %+v, want nothing", got)
	}
}
