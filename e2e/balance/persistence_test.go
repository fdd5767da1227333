//go:build guest

package balance_test

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/hacluster/hacluster/e2e/lab"
)

// asker asks a persistent service from an address of the client, and returns who
// answers.
type asker func(source netip.Addr) (string, error)

// settle has clients of several addresses ask, and waits until the second director
// knows which server each got.
func (s *site) settle(ask asker) map[netip.Addr]string {
	s.t.Helper()
	kept := make(map[netip.Addr]string)
	for last := range 4 {
		source := netip.AddrFrom4([4]byte{192, 0, 2, byte(201 + last)})
		s.client.AddAddr(lab.Service, netip.PrefixFrom(source, 24))
		who, err := ask(source)
		if err != nil {
			s.t.Fatalf("%s: %v asks: %v", s.now, source, err)
		}
		kept[source] = who
	}
	lab.Want(s.t, within, fmt.Sprintf("%s: %s knows the servers of %v", s.now, s.d2.Name, kept), func() (string, bool) {
		got := must(s.t, s.d2, "ipvsadm", "-Lnc")
		for source := range kept {
			if !strings.Contains(got, source.String()+":0 ") { // the template, which is of no port
				return got, false
			}
		}
		return got, true
	})
	return kept
}

// wantKept asks as each of the clients again, which get the server that they had.
func (s *site) wantKept(ask asker, kept map[netip.Addr]string) {
	s.t.Helper()
	for source, want := range kept {
		if who, err := ask(source); who != want || err != nil {
			s.t.Errorf("%s: %v is answered by %q, %v; want %s as before", s.now, source, who, err, want)
		}
	}
}
