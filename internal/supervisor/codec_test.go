package supervisor

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func sampleClause() Clause {
	return Clause{
		Silence: 2 * time.Second,
		Gated:   true,
		Addresses: []Address{
			{Interface: "eth0", Prefix: netip.MustParsePrefix("192.0.2.100/24")},
			{Interface: "eth1", Prefix: netip.MustParsePrefix("10.0.0.1/32"), Peer: netip.MustParsePrefix("10.0.0.2/32")},
			{Interface: "eth0", Prefix: netip.MustParsePrefix("2001:db8::100/128")},
		},
		Words: []Words{
			{Protocol: 17, Payload: []byte("sealed"), To: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:7113"), netip.MustParseAddrPort("[2001:db8::2]:7113")}},
			{Protocol: 112, Interface: 3, Source: netip.MustParseAddr("fe80::1"), TTL: 255, Payload: []byte{0x31}, To: []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("ff02::12"), 0)}},
		},
	}
}

func TestAClauseSurvivesItsMessage(t *testing.T) {
	for _, want := range []Clause{{}, sampleClause()} {
		message, err := clauseMessage(300, "instance VI_1", &want)
		if err != nil {
			t.Fatal(err)
		}
		generation, name, got, err := parseClauseMessage(message[1:])
		if err != nil || generation != 300 || name != "instance VI_1" || !reflect.DeepEqual(got, want) {
			t.Errorf("got %d %q %+v, %v\nwant %+v", generation, name, got, err, want)
		}
		if got.empty() != (len(want.Addresses) == 0) {
			t.Errorf("empty = %v for %+v", got.empty(), got)
		}
	}
}

func TestAClauseThatNoMessageHoldsIsRefused(t *testing.T) {
	big := Clause{Words: []Words{{Payload: make([]byte, maxMessage)}}}
	if _, err := clauseMessage(1, "record", &big); err == nil || !strings.Contains(err.Error(), "at most 65536") {
		t.Errorf("err = %v, want the limit", err)
	}
	if _, err := clauseMessage(1, "", &Clause{}); err == nil {
		t.Error("a clause without a name is accepted")
	}
}

func FuzzClauseMessage(f *testing.F) {
	c := sampleClause()
	message, err := clauseMessage(1, "x", &c)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(message[1:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		generation, name, c, err := parseClauseMessage(b)
		if err != nil {
			return
		}
		again, err := clauseMessage(generation, name, &c)
		if err != nil {
			return // numbers may be shorter in what was read
		}
		g2, n2, c2, err := parseClauseMessage(again[1:])
		if err != nil || g2 != generation || n2 != name || !reflect.DeepEqual(c2, c) {
			t.Errorf("%+v became %+v, %v", c, c2, err)
		}
	})
}
