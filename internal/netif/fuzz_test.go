package netif

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/nlmsg"
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
	var addrs, link requests
	addrs.addAddr(vip("192.0.2.100/24"), 3, Lease, 0)
	addrs.addAddr(vip("2001:db8::1/64"), 3, Lease, 0)
	f.Add(addrs.Bytes(1))
	link.Begin(unix.RTM_NEWLINK, 0)
	link.Raw(make([]byte, unix.SizeofIfInfomsg)...)
	link.String(unix.IFLA_IFNAME, "eth0")
	link.End()
	f.Add(link.Bytes(1))
	f.Fuzz(func(t *testing.T, b []byte) {
		table := newLinkTable()
		for m := range nlmsg.Messages(b) {
			table.apply(m)
		}
		table.changes()
	})
}
