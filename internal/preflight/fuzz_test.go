package preflight

import (
	"net"
	"testing"
)

// Whatever arrives is read or not, and a datagram that is read is written the same.
func FuzzWhatArrives(f *testing.F) {
	f.Add(datagram{Session: 7, Kind: Unicast, From: "lb01"}.encode())
	f.Add([]byte{0x21, 51, 150, 1, 0, 1, 0, 0, 192, 0, 2, 1})
	f.Add(arpRequest(net.HardwareAddr{2, 0, 0, 0, 0, 1}, vip))
	f.Add([]byte{136, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := decode(b); err == nil {
			if again, err := decode(d.encode()); err != nil || again != d {
				t.Errorf("%+v is read back as %+v (%v)", d, again, err)
			}
		}
		if r, ok := readAdvert(b); ok && (r.VRID < 1 || r.VRID > 255) {
			t.Errorf("virtual router %d", r.VRID)
		}
		if addr, mac, ok := arpReply(b); ok && (!addr.Is4() || len(mac) != 6) {
			t.Errorf("%v %v", addr, mac)
		}
		if addr, mac, ok := advertisement(b); ok && (!addr.Is6() || len(mac) == 0) {
			t.Errorf("%v %v", addr, mac)
		}
	})
}
