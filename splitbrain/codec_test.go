package splitbrain

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var cmpAddrs = cmpopts.EquateComparable(netip.Addr{})

// fullRecord uses every field.
func fullRecord() Record {
	return Record{
		Cluster: 0x1122334455667788, Node: "lb01", Boot: 42, Seq: 7, Leaving: true,
		Interval: 200 * time.Millisecond,
		Acks:     []Ack{{Boot: 43, Known: 9, Direct: 8, Age: 3 * time.Millisecond}, {Boot: 44, Known: 1}},
		Claims: []Claim{{
			Unit: "VI_1", Policy: PolicyMesh, State: Master, StateAge: 90 * time.Second, Wants: WantNothing, Eligible: true,
			Tenure:   Tenure{Seq: 3, Priority: 150, Primary: addr("192.0.2.1")},
			Priority: 140, Primary: addr("192.0.2.1"),
			VIPHash: 99, VIPs: []netip.Addr{addr("192.0.2.100"), addr("2001:db8::1")},
		}, {
			Unit: "VI_2", Policy: PolicyOff, State: Backup, Wants: WantHeld, Released: true,
			Tenure:   Tenure{Seq: 2, Priority: 100, Primary: addr("fe80::1")},
			Priority: 100, Primary: addr("fe80::1"),
			Yielded:  TenureID{43, 5},
			Reserved: Reservation{Request: 77, For: 43, Span: 500 * time.Millisecond, Age: time.Millisecond},
			VIPHash:  98,
			Heard:    addr("fe80::2"), HeardPriority: 200, HeardAge: 1500 * time.Millisecond,
			Path: PathSuspended, PathAge: 70 * time.Millisecond,
			Sight: Sight{Kind: SightOne, Of: 43, Age: 20 * time.Millisecond},
		}},
		Requests:   []Request{{ID: 5, Unit: "VI_2", Tenure: TenureID{44, 6}, Preempt: true, Silence: SilenceSaid}},
		Refusals:   []Refusal{{ID: 6, To: 43, Reason: "lb02 is leaving"}},
		Invites:    []Invite{{ID: 8, Unit: "VI_1", To: "lb03"}},
		Electorate: Electorate{Epoch: 12, Voters: []string{"lb01", "lb02", "w1"}},
		LeaseRequests: []LeaseRequest{
			{Unit: "VI_1", Tenure: 3, Ballot: 57, Epoch: 12, Lease: 2 * time.Second, Held: true, Priority: 140, Primary: addr("192.0.2.1")},
			{Unit: "VI_2", Tenure: 3, Ballot: 1, Epoch: 12, Lease: 2 * time.Second},
		},
		Grants: []Grant{
			{Unit: "VI_1", To: 42, Answer: AnswerGranted, Tenure: 3, Ballot: 57, Seq: 6, Epoch: 12, Lease: 2 * time.Second},
			{Unit: "VI_1", To: 43, Answer: AnswerHeld, Tenure: 1, Ballot: 2, Seq: 9, Epoch: 12, Highest: 57, Holder: "lb01", Left: time.Second},
		},
		Releases: []Release{{Unit: "VI_2", Ballot: 9, Seq: 5, Successor: 43, Span: 500 * time.Millisecond}},
		Addrs:    []netip.Addr{addr("192.0.2.1"), addr("fe80::1")},
		MACs:     []MAC{{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}},
		Facts:    []byte("revision 7"),
		Fencing: []FenceWord{
			{Unit: "VI_1", Node: "lb02", Boot: 43, By: 42, Stage: FenceRuns, Age: time.Second, Span: time.Minute},
			{Unit: "VI_2", Node: "lb03", By: 44, Stage: FenceVotes, Agrees: true},
		},
	}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestRecordSurvivesItsDatagram(t *testing.T) {
	want := fullRecord()
	parts, err := Encode(&want)
	if err != nil || len(parts) != 1 {
		t.Fatalf("Encode = %d datagrams, %v; want 1, nil", len(parts), err)
	}
	d, err := Decode(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Datagram{Record: want}, d, cmpAddrs); diff != "" {
		t.Errorf("Decode(Encode(record)): -want +got\n%s", diff)
	}
}

func TestRelayKeepsTheRecordAndAddsItsAge(t *testing.T) {
	want := Datagram{Via: "lb03", Age: 40 * time.Millisecond, Record: fullRecord()}
	want.Record.Part = 3
	b, err := EncodeRelay(&want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpAddrs); diff != "" {
		t.Errorf("relay: -want +got\n%s", diff)
	}
}

func TestManyClaimsAreSpreadOverDatagramsThatFit(t *testing.T) {
	r := fullRecord()
	r.Acks, r.Addrs, r.Claims = nil, nil, nil
	for i := range MaxAcks {
		r.Acks = append(r.Acks, Ack{Boot: BootID(1<<63 + uint64(i)), Known: 1 << 34, Direct: 1 << 34, Age: MaxAge})
	}
	for i := range MaxAddrs {
		r.Addrs = append(r.Addrs, addr(fmt.Sprintf("2001:db8::%x", i+1)))
	}
	r.Node = strings.Repeat("n", MaxNode)
	r.Facts = []byte(strings.Repeat("f", MaxFacts))
	r.Electorate.Voters = slices.Repeat([]string{strings.Repeat("n", MaxNode)}, MaxVoterBytes/(MaxNode+1))
	var vips []netip.Addr
	for i := range 100 {
		vips = append(vips, addr(fmt.Sprintf("2001:db8:1::%x", i)))
	}
	for i := range 255 {
		c := fullRecord().Claims[1]
		c.Unit = fmt.Sprintf("%0*d", MaxUnitName, i)
		c.VIPs = listVIPs(vips)
		r.Claims = append(r.Claims, c)
	}
	parts, err := Encode(&r)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	var addrs int
	for i, p := range parts {
		if len(p) > MaxPayload {
			t.Errorf("datagram %d has %d bytes; at most %d", i, len(p), MaxPayload)
		}
		d, err := Decode(p)
		if err != nil {
			t.Fatalf("datagram %d: %v", i, err)
		}
		if int(d.Record.Part) != i || len(d.Record.Acks) != MaxAcks {
			t.Errorf("datagram %d says part %d and %d acks", i, d.Record.Part, len(d.Record.Acks))
		}
		addrs += len(d.Record.Addrs)
		for _, c := range d.Record.Claims {
			seen[c.Unit] = true
		}
		d.Via = strings.Repeat("v", MaxNode)
		d.Age = MaxAge
		if _, err := EncodeRelay(&d); err != nil {
			t.Errorf("datagram %d cannot be relayed: %v", i, err)
		}
	}
	if len(seen) != 255 || addrs != MaxAddrs {
		t.Errorf("%d claims and %d addresses arrived, want 255 and %d", len(seen), addrs, MaxAddrs)
	}
}

func TestEncodeRefusesWhatDoesNotFit(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*Record)
	}{
		{"long node name", func(r *Record) { r.Node = strings.Repeat("n", MaxNode+1) }},
		{"no node name", func(r *Record) { r.Node = "" }},
		{"large facts", func(r *Record) { r.Facts = make([]byte, MaxFacts+1) }},
		{"many acks", func(r *Record) { r.Acks = make([]Ack, MaxAcks+1) }},
		{"many hardware addresses", func(r *Record) { r.MACs = make([]MAC, MaxMACs+1) }},
		{"many addresses", func(r *Record) { r.Addrs = make([]netip.Addr, MaxAddrs+1) }},
		{"long unit name", func(r *Record) { r.Claims[0].Unit = strings.Repeat("u", MaxUnitName+1) }},
		{"long VIP list", func(r *Record) { r.Claims[0].VIPs = make([]netip.Addr, MaxClaimVIPs+1) }},
		{"many voters", func(r *Record) { r.Electorate.Voters = make([]string, MaxVoters+1) }},
		{"long names of voters", func(r *Record) {
			r.Electorate.Voters = slices.Repeat([]string{strings.Repeat("n", MaxNode)}, 8)
		}},
		{"lease request for no unit", func(r *Record) { r.LeaseRequests[0].Unit = "" }},
		{"grant of no unit", func(r *Record) { r.Grants[0].Unit = "" }},
		{"release of no unit", func(r *Record) { r.Releases[0].Unit = "" }},
		{"fencing of nobody", func(r *Record) { r.Fencing[0].Node = "" }},
		{"much fencing", func(r *Record) { r.Fencing = make([]FenceWord, MaxFenceWords+1) }},
		{"long reason", func(r *Record) { r.Refusals[0].Reason = strings.Repeat("r", MaxReason+1) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := fullRecord()
			tt.spoil(&r)
			if parts, err := Encode(&r); err == nil {
				t.Errorf("Encode = %d datagrams, nil; want an error", len(parts))
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	r := fullRecord()
	parts, _ := Encode(&r)
	good := parts[0]
	edit := func(f func([]byte) []byte) []byte { return f(append([]byte(nil), good...)) }
	tests := []struct {
		name    string
		payload []byte
		want    error
	}{
		{"nothing", nil, ErrNotRecord},
		{"another program", []byte("hello world"), ErrNotRecord},
		{"a later version", edit(func(b []byte) []byte { b[2]++; return b }), ErrVersion},
		{"an unknown kind", edit(func(b []byte) []byte { b[3] = 9; return b }), ErrMalformed},
		{"a cut section", good[:len(good)-1], ErrMalformed},
		{"too many bytes", padded(good, MaxPayload+1), ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Decode(tt.payload); !errors.Is(err, tt.want) {
				t.Errorf("Decode = %v, want %v", err, tt.want)
			}
		})
	}
}

func padded(b []byte, n int) []byte {
	return append(append([]byte(nil), b...), make([]byte, n-len(b))...)
}

func TestDecodeSkipsSectionsOfLaterVersions(t *testing.T) {
	want := fullRecord()
	parts, _ := Encode(&want)
	b := appendSection(parts[0], 200, []byte("from the future"))
	d, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, d.Record, cmpAddrs); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func FuzzDecode(f *testing.F) {
	r := fullRecord()
	parts, _ := Encode(&r)
	f.Add(parts[0])
	d := Datagram{Via: "n", Age: time.Second, Record: r}
	relayed, _ := EncodeRelay(&d)
	f.Add(relayed)
	f.Add([]byte{})
	f.Add(parts[0][:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Decode(b)
		var m Decoder
		for range 2 {
			if known, e := m.Decode(b); (e == nil) != (err == nil) {
				t.Fatalf("first %v, then %v", err, e)
			} else if diff := cmp.Diff(d, known, cmpAddrs); diff != "" {
				t.Fatalf("-first +when known\n%s", diff)
			}
		}
		if err != nil {
			return
		}
		// What was accepted can be said again, and means the same.
		if d.Via == "" {
			d.Via = "relay"
		}
		again, err := EncodeRelay(&d)
		if err != nil {
			if len(b)+wrapperSize+64 > MaxPayload {
				return // the wrapper does not fit; Encode leaves room for it
			}
			t.Fatalf("accepted, but not encodable: %v", err)
		}
		got, err := Decode(again)
		if err != nil {
			t.Fatalf("encoded, but not accepted: %v", err)
		}
		if diff := cmp.Diff(d, got, cmpAddrs, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("-first +second\n%s", diff)
		}
	})
}

func TestWhatIsKnownOfAClaimIsNotItsAgesNorItsFlags(t *testing.T) {
	var m Decoder
	want := fullRecord()
	for step, change := range []func(*Claim){
		func(*Claim) {},
		func(c *Claim) { c.StateAge += time.Second; c.HeardAge++; c.PathAge = 0; c.Sight.Age = time.Minute },
		func(c *Claim) { c.Reserved.Age = 0 },
		func(c *Claim) { c.Eligible = !c.Eligible },
		func(c *Claim) { c.Priority-- },
		func(c *Claim) { c.Path, c.PathAge, c.Sight = PathUnknown, 0, Sight{} },
		func(c *Claim) { c.Heard = netip.Addr{} },
	} {
		for i := range want.Claims {
			change(&want.Claims[i])
			want.Claims[i].HeardAge = want.Claims[i].HeardAge.Truncate(time.Microsecond)
		}
		parts, err := Encode(&want)
		if err != nil || len(parts) != 1 {
			t.Fatalf("Encode = %d datagrams, %v; want 1, nil", len(parts), err)
		}
		d, err := m.Decode(parts[0])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, d.Record, cmpAddrs); diff != "" {
			t.Errorf("step %d: -want +got\n%s", step, diff)
		}
	}
}

// BenchmarkDecode reads one record of 255 units, whose ages alone have changed.
func BenchmarkDecode(b *testing.B) {
	r := Record{Cluster: 1, Node: "n1", Boot: 2, Seq: 3}
	for i := range 255 {
		c := fullRecord().Claims[0]
		c.Unit, c.VIPs = fmt.Sprintf("VI_%d", i), c.VIPs[:1]
		r.Claims = append(r.Claims, c)
	}
	parts, err := Encode(&r)
	if err != nil {
		b.Fatal(err)
	}
	for name, m := range map[string]*Decoder{"anew": nil, "known": {}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, p := range parts {
					if m == nil {
						_, err = Decode(p)
					} else {
						_, err = m.Decode(p)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// Datagrams of one length pass the network stack together.
func TestAllPartsButTheLastHaveOneLength(t *testing.T) {
	for length := 1; length <= MaxUnitName; length++ {
		r := Record{Cluster: 1, Node: "n1", Boot: 2, Seq: 3}
		for range 60 {
			r.Claims = append(r.Claims, Claim{Unit: strings.Repeat("u", length), VIPs: []netip.Addr{addr("192.0.2.100")}})
		}
		parts, err := Encode(&r)
		if err != nil {
			t.Fatal(err)
		}
		claims := 0
		for i, p := range parts {
			if i < len(parts)-1 && len(p) != fullPart || len(p) > fullPart {
				t.Fatalf("names of %d bytes: part %d of %d has %d bytes, want %d", length, i, len(parts), len(p), fullPart)
			}
			d, err := Decode(p)
			if err != nil {
				t.Fatal(err)
			}
			claims += len(d.Record.Claims)
		}
		if claims != len(r.Claims) {
			t.Fatalf("names of %d bytes: %d claims came of %d", length, claims, len(r.Claims))
		}
	}
}

func TestPaddingFillsAnyGap(t *testing.T) {
	r := Record{Cluster: 1, Node: "n1", Boot: 2, Seq: 3}
	parts, err := Encode(&r)
	if err != nil {
		t.Fatal(err)
	}
	for n := len(parts[0]); n <= fullPart-minPadding; n++ {
		b := append(make([]byte, 0, MaxPayload), parts[0]...)
		for gap := n - len(b); gap > 0; gap = n - len(b) {
			b = appendSection(b, sectionPadding, make([]byte, max(min(gap-2, 100), 0)))
			if len(b) > n {
				break // a gap of one byte
			}
		}
		if b = pad(b); len(b) != fullPart {
			t.Fatalf("padded to %d bytes, want %d", len(b), fullPart)
		}
		if _, err := Decode(b); err != nil {
			t.Fatalf("padded from %d bytes: %v", n, err)
		}
	}
}
