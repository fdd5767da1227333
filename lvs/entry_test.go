package lvs

import "testing"

func FuzzParseEntry(f *testing.F) {
	for _, line := range []string{"tcp 192.0.2.1:80 server [2001:db8::1]:80", "udp [::1]:53", "fwmark 7 ipv4", "sync master"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		e, ok := parseEntry(line)
		if !ok {
			return
		}
		if again, ok := parseEntry(e.String()); !ok || again != e {
			t.Errorf("%q is read as %v, and then as %v", line, e, again)
		}
	})
}
