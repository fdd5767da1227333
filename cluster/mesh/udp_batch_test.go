package mesh

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// socket opens a UDP socket of the kernel, and says where it is reached on a host.
func socket(t *testing.T, listen, host string) (*udpConn, netip.AddrPort) {
	t.Helper()
	c, err := ListenUDP(netip.AddrPortFrom(netip.MustParseAddr(listen), 0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*udpConn), netip.AddrPortFrom(netip.MustParseAddr(host), c.LocalAddr().Port())
}

func TestDatagramsOfARecordArriveInOrder(t *testing.T) {
	lengths := map[string]func(i, n int) int{
		"one":                      func(int, int) int { return 700 },
		"of one length, for ever":  func(int, int) int { return 1100 },
		"of one length, but one":   func(i, n int) int { return 1100 - 900*(i/(n-1)) },
		"of all lengths":           func(i, _ int) int { return 40 + 7*i },
		"with a longer one behind": func(i, n int) int { return 200 + 900*(i/(n-1)) },
	}
	for _, family := range []struct{ listen, host string }{
		{"0.0.0.0", "127.0.0.1"}, {"::", "127.0.0.1"}, {"::", "::1"},
	} {
		for name, length := range lengths {
			t.Run(fmt.Sprintf("%s from %s to %s", name, family.listen, family.host), func(t *testing.T) {
				from, sender := socket(t, family.listen, family.host)
				into, to := socket(t, family.listen, family.host)
				n := 90 // more than one message can have
				if name == "one" {
					n = 1
				}
				var sent [][]byte
				for i := range n {
					sent = append(sent, bytes.Repeat([]byte{byte(i)}, length(i, n)))
				}
				if failed, err := from.WriteAll(sent, []netip.AddrPort{to}); failed != 0 || err != nil {
					t.Fatalf("WriteAll: %d failed, %v", failed, err)
				}
				end := time.AfterFunc(10*time.Second, func() { into.Close() })
				defer end.Stop()
				for came := 0; came < n; {
					got, err := into.ReadAll()
					if err != nil {
						t.Fatalf("ReadAll after %d of %d: %v", came, n, err)
					}
					for _, r := range got {
						if !bytes.Equal(r.Payload, sent[came]) {
							t.Fatalf("datagram %d has %d bytes of %d, want %d", came, len(r.Payload), r.Payload[0], len(sent[came]))
						}
						if r.From != sender || r.Path != "lo" {
							t.Fatalf("datagram %d is from %v on %s, want %v on lo", came, r.From, r.Path, sender)
						}
						came++
					}
				}
			})
		}
	}
}

func TestRefusedDatagramsAreCountedAndTheOthersGo(t *testing.T) {
	from, _ := socket(t, "0.0.0.0", "127.0.0.1")
	into, to := socket(t, "0.0.0.0", "127.0.0.1")
	wrong := netip.MustParseAddrPort("[2001:db8::1]:7113")
	datagrams := [][]byte{make([]byte, 100), make([]byte, 100), make([]byte, 10)}
	failed, err := from.WriteAll(datagrams, []netip.AddrPort{wrong, to})
	if failed != len(datagrams) || err == nil {
		t.Errorf("WriteAll: %d failed, %v; want %d of IPv6", failed, err, len(datagrams))
	}
	end := time.AfterFunc(10*time.Second, func() { into.Close() })
	defer end.Stop()
	for came := 0; came < len(datagrams); {
		got, err := into.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		came += len(got)
	}
}

func TestSegmentsThatTheKernelRefusesGoOneByOne(t *testing.T) {
	from, _ := socket(t, "0.0.0.0", "127.0.0.1")
	into, to := socket(t, "0.0.0.0", "127.0.0.1")
	from.out.plain[to] = struct{}{}
	datagrams := [][]byte{make([]byte, 100), make([]byte, 100)}
	if failed, err := from.WriteAll(datagrams, []netip.AddrPort{to}); failed != 0 || err != nil {
		t.Fatalf("WriteAll: %d failed, %v", failed, err)
	}
	end := time.AfterFunc(10*time.Second, func() { into.Close() })
	defer end.Stop()
	for came := 0; came < len(datagrams); {
		got, err := into.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		came += len(got)
	}
}
