//go:build guest

package ipvs_test

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/ipvs"
)

func TestConnectionsAreThoseOfTheKernel(t *testing.T) {
	k := namespace(t)
	server, err := net.Listen("tcp", "192.0.2.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	key, marked := tcp("192.0.2.1:80"), lvs.Key{Mark: 7, MarkFamily: lvs.IPv4}
	backend := lvs.Server{Address: addr("192.0.2.1:8080"), Weight: 1}
	write(t, k,
		lvs.AddService{Key: key, Settings: lvs.Settings{Scheduler: "rr", Persistence: lvs.Persistence{Timeout: 300 * time.Second}}},
		lvs.AddServer{Key: key, Server: backend},
	)
	client, err := net.DialTimeout("tcp", "192.0.2.1:80", 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	var all []lvs.Connection
	if err := ipvs.Connections(t.Context(), func(c lvs.Connection) bool { all = append(all, c); return true }); err != nil {
		t.Fatal(err)
	}
	from := netip.MustParseAddrPort(client.LocalAddr().String())
	i := slices.IndexFunc(all, func(c lvs.Connection) bool { return c.Client == from })
	if i < 0 || all[i].Virtual != key.Address || all[i].Server != backend.Address || all[i].State != "ESTABLISHED" || all[i].Protocol != lvs.TCP || all[i].Expires < time.Minute {
		t.Errorf("connections %+v, want one from %v", all, from)
	}
	remembered := slices.IndexFunc(all, func(c lvs.Connection) bool { return c.Client == netip.AddrPortFrom(from.Addr(), 0) })
	if remembered < 0 || len(all) != 2 {
		t.Errorf("connections %+v, want the client remembered as well", all)
	}
	for _, c := range all {
		if !c.Belongs([]lvs.Key{key}, nil) || !c.Belongs([]lvs.Key{marked}, []netip.AddrPort{backend.Address}) || c.Belongs([]lvs.Key{tcp("192.0.2.1:443")}, nil) {
			t.Errorf("%+v belongs to other services", c)
		}
	}
}
