package supervisor

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// memoryGate is a gate that closes, or does not.
type memoryGate struct {
	Gate
	err error
}

func (g memoryGate) CloseAll() error { return g.err }

// S31, R9.2, R7c: what does not answer any more is gone, and what may still answer is
// not, however soon it ends by itself.
func TestAClosedGateIsProofWhereAddressesCannotBeRemoved(t *testing.T) {
	address := []Address{{Interface: "eth0", Prefix: vip}}
	tests := []struct {
		name    string
		gate    Gate
		clauses map[string]Clause
		stuck   bool // removal fails, and so does the dump
		said    bool
	}{
		{"removed, no gate", nil, map[string]Clause{"a": {Addresses: address}}, false, true},
		{"stuck, no gate", nil, map[string]Clause{"a": {Addresses: address, Gated: true}}, true, false},
		{"stuck behind the gate", memoryGate{}, map[string]Clause{"a": {Addresses: address, Gated: true}}, true, true},
		{"stuck beside the gate", memoryGate{}, map[string]Clause{"a": {Addresses: address}}, true, false},
		{"one of two beside the gate", memoryGate{}, map[string]Clause{"a": {Addresses: address}, "b": {Addresses: address, Gated: true}}, true, false},
		{"stuck, and the gate is open again", memoryGate{err: errors.New("open")}, map[string]Clause{"a": {Addresses: address, Gated: true}}, true, false},
		{"removed, and the gate is open again", memoryGate{err: errors.New("open")}, map[string]Clause{"a": {Addresses: address, Gated: true}}, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x, err := newExecutor()
			if err != nil {
				t.Fatal(err)
			}
			defer x.close()
			if tt.stuck {
				unix.Close(x.ioctl)
				x.ioctl = -1
			}
			peer, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			tt.clauses["record 0"] = Clause{Words: []Words{{
				Protocol: unix.IPPROTO_UDP, Payload: []byte("gone"), To: []netip.AddrPort{peer.LocalAddr().(*net.UDPAddr).AddrPort()},
			}}}
			s := &Supervisor{log: slog.New(slog.DiscardHandler), x: x, gate: tt.gate}
			s.carryOut(&process{will: tt.clauses}, time.Now())
			wait := 20 * time.Millisecond
			if tt.said {
				wait = 10 * time.Second
			}
			if err := peer.SetReadDeadline(time.Now().Add(wait)); err != nil {
				t.Fatal(err)
			}
			n, _, _ := peer.ReadFrom(make([]byte, 100))
			if said := n > 0; said != tt.said {
				t.Errorf("the others were told = %v, want %v", said, tt.said)
			}
		})
	}
}
