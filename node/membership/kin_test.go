package membership

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/splitbrain"
)

var (
	lb02 = splitbrain.Identity{Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.2")}, MACs: []splitbrain.MAC{{2, 0, 0, 0, 0, 2}}}
	lb03 = splitbrain.Identity{Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.3")}, MACs: []splitbrain.MAC{{2, 0, 0, 0, 0, 3}}}
)

func TestKinIsKnownAgainInTheSameClusterOnly(t *testing.T) {
	dir := t.TempDir()
	if k, err := readKin(dir, "c1"); err != nil || len(k.Members) > 0 {
		t.Fatalf("without a file: %v, %v; want nothing", k, err)
	}
	want := kin{Cluster: "c1", Members: map[string]splitbrain.Identity{"lb02": lb02}}
	if err := want.write(dir); err != nil {
		t.Fatal(err)
	}
	if k, err := readKin(dir, "c1"); err != nil || !reflect.DeepEqual(k, want) {
		t.Errorf("read %v, %v; want %v", k, err, want)
	}
	if k, err := readKin(dir, "c2"); err != nil || len(k.Members) > 0 {
		t.Errorf("in another cluster: %v, %v; want nothing", k, err)
	}
	if err := os.WriteFile(filepath.Join(dir, kinName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if k, err := readKin(dir, "c1"); err == nil || len(k.Members) > 0 {
		t.Errorf("of a broken file: %v, %v; want an error", k, err)
	}
}

func TestKinIsWhatMembersSaidLast(t *testing.T) {
	moved := splitbrain.Identity{Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.12")}, MACs: lb02.MACs}
	before := kin{Cluster: "c1", Members: map[string]splitbrain.Identity{"lb02": lb02, "lb03": lb03, "gone": {}}}
	members := []store.Member{{Name: "lb01"}, {Name: "lb02"}, {Name: "lb03"}}
	got := before.with(members, splitbrain.PeerView{Members: []splitbrain.MemberView{
		{Name: "lb02", Addrs: moved.Addrs, MACs: moved.MACs}, {Name: "lb03"},
	}})
	want := kin{Cluster: "c1", Members: map[string]splitbrain.Identity{"lb02": moved, "lb03": lb03}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("kin %v, want %v", got, want)
	}
}
