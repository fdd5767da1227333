package check

import (
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

func TestUDP(t *testing.T) {
	echo := servePackets(t, func(b []byte) []byte { return b })
	silent := servePackets(t, func([]byte) []byte { return nil }).within(brief)
	payload := []byte("ping")
	tests := []struct {
		name  string
		check UDP
		up    bool
		want  string
	}{
		{name: "silence is up", check: UDP{Target: silent}, up: true, want: "no ICMP error within 1s"},
		{name: "nobody listens", check: UDP{Target: nobody(t)}, want: "connection refused"},
		{name: "a reply is up", check: UDP{Target: echo}, up: true, want: "the server replies"},
		{name: "silence when a reply is required", check: UDP{Target: silent, RequireReply: true}, want: "no reply within 1s"},
		{name: "random payload", check: UDP{Target: echo, RequireReply: true, MinReply: 32, MaxReply: 32}, up: true},
		{name: "reply as wanted", check: UDP{Target: echo, Payload: payload, RequireReply: true, Reply: []byte("pin"), MaxReply: DefaultMaxReply}, up: true, want: "as wanted"},
		{name: "reply longer than wanted bytes", check: UDP{Target: echo, Payload: payload, RequireReply: true, Reply: []byte("ping-pong"), MaxReply: DefaultMaxReply}, up: true},
		{name: "other reply", check: UDP{Target: echo, Payload: payload, RequireReply: true, Reply: []byte("pong"), MaxReply: DefaultMaxReply},
			want: "byte 1 of the reply is 69, want 6f"},
		{name: "bits that do not matter", check: UDP{Target: echo, Payload: payload, RequireReply: true, Reply: []byte("pong"), ReplyMask: []byte{0, 0x0f, 0, 0}, MaxReply: DefaultMaxReply}, up: true},
		{name: "too short", check: UDP{Target: echo, Payload: payload, RequireReply: true, MinReply: 5, MaxReply: DefaultMaxReply}, want: "has 4 bytes, min_reply_length is 5"},
		{name: "too long", check: UDP{Target: echo, Payload: payload, RequireReply: true, MaxReply: 3}, want: "longer than max_reply_length 3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			want(t, test.check, test.up, test.want)
		})
	}
}

func TestDNS(t *testing.T) {
	answer := func(change func(*dns.Msg)) Target {
		return servePackets(t, func(b []byte) []byte {
			var m dns.Msg
			if m.Unpack(b) != nil || len(m.Question) != 1 {
				return nil
			}
			m.Response = true
			change(&m)
			packed, err := m.Pack()
			if err != nil {
				return nil
			}
			return packed
		})
	}
	asked := make(chan string, 2)
	fine := answer(func(m *dns.Msg) { asked <- m.Question[0].String() })
	t.Run("the root's SOA by default", func(t *testing.T) { wantUp(t, DNS{Target: fine}, "answers for . SOA") })
	t.Run("name and type", func(t *testing.T) {
		wantUp(t, DNS{Target: fine, Name: "www.example", Type: "AAAA"}, "answers for www.example. AAAA")
	})
	for _, want := range []string{";.\tIN\t SOA", ";www.example.\tIN\t AAAA"} {
		if got := <-asked; got != want {
			t.Errorf("asked %q, want %q", got, want)
		}
	}
	tests := []struct {
		name  string
		check DNS
		want  string
	}{
		{"error code", DNS{Target: answer(func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure })}, "answers SERVFAIL (code 2) for . SOA"},
		{"unknown code", DNS{Target: answer(func(m *dns.Msg) { m.Rcode = 14 })}, "answers unknown (code 14)"},
		{"answer to another query", DNS{Target: answer(func(m *dns.Msg) { m.Id++ }).within(brief)}, "no answer within 1s"},
		{"a query", DNS{Target: answer(func(m *dns.Msg) { m.Response = false }).within(brief)}, "no answer within 1s"},
		{"not DNS", DNS{Target: servePackets(t, func([]byte) []byte { return []byte("nonsense") }).within(brief)}, "no answer within 1s"},
		{"nobody listens", DNS{Target: nobody(t)}, "connection refused"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			wantDown(t, test.check, test.want)
		})
	}
}

func TestDNSQueryThatIsNoneSaysNothingOfTheServer(t *testing.T) {
	wantVoid(t, DNS{Target: nobody(t), Type: "B"}, `"B" is no type of records; use A`)
	wantVoid(t, DNS{Target: nobody(t), Name: strings.Repeat("x", 64) + ".example"}, "ask for xxx")
}

func FuzzDNSAnswer(f *testing.F) {
	m := &dns.Msg{Question: []dns.Question{{Name: ".", Qtype: dns.TypeSOA, Qclass: dns.ClassINET}}}
	m.Id, m.Response = 7, true
	packed, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Add(packed[:12])
	f.Fuzz(func(t *testing.T, packet []byte) {
		rcode, ok := answerTo(7, packet)
		if ok && (packet[0] != 0 || packet[1] != 7 || packet[2]&0x80 == 0 || rcode != int(packet[3]&0xf)) {
			t.Errorf("code %d is read from % x", rcode, packet)
		}
	})
}

func TestPing(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "::1"} {
		t.Run(address, func(t *testing.T) {
			target := Target{Addr: netip.AddrPortFrom(netip.MustParseAddr(address), 80), Timeout: patience}
			wantUp(t, Ping{target}, "answered after")
			inNamespace(t, func() { // its ping_group_range has nobody in it, not even root
				f, raw, err := Ping{target}.open()
				if err != nil || !raw {
					t.Errorf("open: raw %v, %v; want a raw socket", raw, err)
					return
				}
				f.Close()
				wantUp(t, Ping{target}, "answered after")
			})
		})
	}
	inNamespace(t, func() {
		unreachable := Target{Addr: netip.MustParseAddrPort("192.0.2.1:0")}
		wantDown(t, Ping{unreachable}, "network is unreachable")
		wantDown(t, TCP{unreachable}, "network is unreachable")
		wantDown(t, UDP{Target: unreachable}, "network is unreachable")
	})
}

// inNamespace runs f in a network namespace of its own, with only loopback.
func inNamespace(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Errorf("unshare: %v", err)
			return
		}
		if err := loopbackUp(); err != nil {
			t.Errorf("set lo up: %v", err)
			return
		}
		f()
	}()
	<-done
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

func FuzzPingReply(f *testing.F) {
	payload := []byte("0123456789abcdef")
	reply, err := (&icmp.Message{Type: ipv4.ICMPTypeEchoReply, Body: &icmp.Echo{Data: payload}}).Marshal(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(reply, false, false)
	f.Add(append(append([]byte{0x45}, make([]byte, 19)...), reply...), false, true)
	f.Add([]byte{0x4f}, false, true)
	f.Fuzz(func(t *testing.T, packet []byte, v6, raw bool) {
		if isReply(packet, v6, raw, payload) && !strings.HasSuffix(string(packet), string(payload)) {
			t.Errorf("% x is taken for the reply", packet)
		}
	})
}
