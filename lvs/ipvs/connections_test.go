package ipvs

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hacluster/hacluster/lvs"
)

const connectionsText = `Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP C0A80001 C350 C0000264 0050 0A000001 1F90 ESTABLISHED     899
UDP 2001:0db8:0000:0000:0000:0000:0000:0001 0035 2001:0db8:0000:0000:0000:0000:0000:0100 0035 C0000201 0035 UDP             30 sip abc
IP  C0A80001 0000 00000005 0000 0A000001 0000 NONE           300
`

func TestConnectionsAreReadFromTheKernelsText(t *testing.T) {
	var got []lvs.Connection
	err := readConnections(t.Context(), strings.NewReader(connectionsText), func(c lvs.Connection) bool { got = append(got, c); return true })
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort
	want := []lvs.Connection{{
		Protocol: lvs.TCP, Client: at("192.168.0.1:50000"), Virtual: at("192.0.2.100:80"), Server: at("10.0.0.1:8080"), State: "ESTABLISHED", Expires: 899 * time.Second,
	}, {
		Protocol: lvs.UDP, Client: at("[2001:db8::1]:53"), Virtual: at("[2001:db8::100]:53"), Server: at("192.0.2.1:53"), State: "UDP", Expires: 30 * time.Second,
	}, {
		Client: at("192.168.0.1:0"), Virtual: at("0.0.0.5:0"), Server: at("10.0.0.1:0"), State: "NONE", Expires: 300 * time.Second,
	}}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Errorf("connections differ (-want +got):\n%s", diff)
	}
}

func TestReadingConnectionsEndsInTime(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	line := strings.Split(connectionsText, "\n")[1] + "\n"
	n := 0
	err := readConnections(ctx, strings.NewReader(strings.Repeat(line, 3*lookEvery)), func(lvs.Connection) bool { n++; cancel(cause); return true })
	if !errors.Is(err, cause) || n > lookEvery {
		t.Errorf("%v after %d lines, want %v within %d", err, n, cause, lookEvery)
	}
}

func FuzzConnection(f *testing.F) {
	for line := range strings.Lines(connectionsText) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if c, ok := parseConnection(line); ok && (!c.Client.IsValid() || !c.Virtual.IsValid() || !c.Server.IsValid() || c.Expires < 0) {
			t.Errorf("%q gives %+v", line, c)
		}
	})
}
