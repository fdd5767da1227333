package nlmsg

import (
	"maps"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRequestsAreReadAsTheyWereLaidOut(t *testing.T) {
	var r Requests
	for range 2 {
		r.Begin(7, unix.NLM_F_ACK)
		r.Raw(1, 2, 3, 4)
		r.Nest(9)
		r.Uint8(1, 200)
		r.Uint16(2, 50000)
		r.Uint32(3, 4e9)
		r.Port(4, 80)
		r.String(5, "wlc")
		r.Unnest()
		r.End()
	}
	n := uint32(0)
	for m := range Messages(r.Bytes(41)) {
		if m.Type != 7 || m.Flags != unix.NLM_F_ACK|unix.NLM_F_REQUEST || m.Seq != 41+n {
			t.Errorf("message %+v", m)
		}
		n++
		for typ, nested := range Attributes(m.Data[4:]) {
			if typ != 9 {
				t.Errorf("attribute %d, want 9", typ)
			}
			got := maps.Collect(Attributes(nested))
			if Uint(got[1]) != 200 || Uint(got[2]) != 50000 || Uint(got[3]) != 4e9 || Port(got[4]) != 80 || String(got[5]) != "wlc" {
				t.Errorf("attributes %v", got)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
}

// A node's renewals lay out and read hundreds in a second.
func TestMessagesAllocateNothing(t *testing.T) {
	var r Requests
	sum := 0
	exchange := func() {
		r.Reset()
		for range 255 {
			r.Begin(7, 0)
			r.Raw(1, 2, 3, 4)
			r.Uint32(1, 4e9)
			r.String(2, "eth0")
			r.End()
		}
		for m := range Messages(r.Bytes(1)) {
			for _, v := range Attributes(m.Data[4:]) {
				sum += len(v)
			}
		}
	}
	if n := testing.AllocsPerRun(10, exchange); n != 0 || sum == 0 {
		t.Errorf("%v allocations for 255 messages, want none", n)
	}
}

func FuzzMessages(f *testing.F) {
	var r Requests
	r.Begin(unix.NLMSG_ERROR, unix.NLM_F_ACK_TLVS)
	r.Raw(0xff, 0xff, 0xff, 0xff)
	r.Raw(make([]byte, unix.NLMSG_HDRLEN)...)
	r.String(unix.NLMSGERR_ATTR_MSG, "because")
	r.End()
	f.Add(r.Bytes(1))
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		for m := range Messages(b) {
			total += unix.NLMSG_HDRLEN + len(m.Data)
			_ = m.Err()
			for _, v := range Attributes(m.Data) {
				_, _, _ = Uint(v), Port(v), String(v)
			}
		}
		if total > len(b) {
			t.Errorf("%d bytes of messages in %d", total, len(b))
		}
	})
}
