package netif

import (
	"testing"

	"golang.org/x/sys/unix"
)

func FuzzParseJournalEntry(f *testing.F) {
	f.Add("lease eth0 192.0.2.100/24")
	f.Add("static eth1 10.0.0.1/32 peer 10.0.0.2/32")
	f.Add("lease eth0 2001:db8::1/1")
	f.Fuzz(func(t *testing.T, line string) {
		e, ok := parseJournalEntry(line)
		if !ok {
			return
		}
		if again, ok := parseJournalEntry(e.String()); !ok || again != e {
			t.Errorf("%q is read as %v, and then as %v", line, e, again)
		}
	})
}

func FuzzMessages(f *testing.F) {
	var r requests
	r.addAddr(vip("192.0.2.100/24"), 3, Lease, 0)
	r.addAddr(vip("2001:db8::1/64"), 3, Lease, 0)
	f.Add(r.buf)
	r.reset()
	r.begin(unix.RTM_NEWLINK, 0)
	r.raw(make([]byte, unix.SizeofIfInfomsg)...)
	r.attr(unix.IFLA_IFNAME, []byte("eth0\x00")...)
	r.end()
	f.Add(r.buf)
	f.Fuzz(func(t *testing.T, b []byte) {
		table := newLinkTable()
		for m := range rtnlMessages(b).all() {
			table.apply(m)
			if m.typ == unix.NLMSG_ERROR {
				_ = m.err()
			}
		}
		table.changes()
	})
}
