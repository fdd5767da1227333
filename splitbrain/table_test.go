package splitbrain

import (
	"net/netip"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
)

var t0 = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return t0.Add(d) }

const ms = time.Millisecond

// newTable is n1's table with members n2 and n3; n1 has boot id 1.
func newTable() *Table {
	t := NewTable("n1", 1, 9)
	t.SetMembers([]Member{{Name: "n3"}, {Name: "n2"}, {Name: "n1"}})
	return t
}

func record(node string, boot BootID, seq uint64, acks ...Ack) *Datagram {
	return &Datagram{Record: Record{
		Cluster: 9, Node: node, Boot: boot, Seq: seq, Interval: 200 * ms, Acks: acks,
	}}
}

func TestTableTakesARecordOnce(t *testing.T) {
	tests := []struct {
		name string
		d    *Datagram
		want bool
	}{
		{"a later one", record("n2", 20, 8), true},
		{"the same again", record("n2", 20, 7), false},
		{"an earlier one", record("n2", 20, 6), false},
		{"another part of the same", func() *Datagram { d := record("n2", 20, 7); d.Record.Part = 1; return d }(), true},
		{"of another cluster", func() *Datagram { d := record("n2", 20, 8); d.Record.Cluster = 8; return d }(), false},
		{"of no member", record("n4", 40, 1), false},
		{"of this node itself", record("n1", 1, 8), false},
		{"of a node that has this node's boot id", record("n2", 1, 8), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := newTable()
			table.Receive(record("n2", 20, 7), "eth0", at(0))
			if m, _ := table.Receive(tt.d, "eth0", at(100*ms)); (m != nil) != tt.want {
				t.Errorf("Receive took it = %v, want %v", m != nil, tt.want)
			}
		})
	}
}

func TestWordsOfAnEarlierLifeAreDropped(t *testing.T) {
	table := newTable()
	table.Sent(5, at(0))
	table.Receive(record("n2", 20, 700), "eth0", at(0))
	table.Receive(record("n2", 21, 1, Ack{Boot: 1, Known: 5, Direct: 5}), "eth0", at(10*ms))
	if m := table.member("n2"); m.boot != 21 {
		t.Fatalf("life %d counts, want 21", m.boot)
	}
	// It was on its way for long, or is repeated by somebody.
	table.Receive(record("n2", 20, 701), "eth0", at(20*ms))
	d := record("n2", 20, 702)
	d.Via = "n3"
	table.Receive(d, "eth0", at(30*time.Second))
	if m := table.member("n2"); m.boot != 21 {
		t.Errorf("life %d counts, want 21", m.boot)
	}
}

func TestAnUnknownLifeMustProveItselfWhileOneIsFresh(t *testing.T) {
	ack := Ack{Boot: 1, Known: 5, Direct: 5}
	tests := []struct {
		name string
		d    *Datagram
		when time.Time
		want BootID
	}{
		{"it acknowledges our present life", record("n2", 21, 1, ack), at(10 * ms), 21},
		{"it acknowledges nothing", record("n2", 21, 1), at(10 * ms), 20},
		{"it acknowledges an earlier life of ours", record("n2", 21, 1, Ack{Boot: 99, Known: 5}), at(10 * ms), 20},
		{"it is relayed", &Datagram{Via: "n3", Record: record("n2", 21, 1, ack).Record}, at(10 * ms), 20},
		{"the known life is silent", record("n2", 21, 1), at(time.Second), 21},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := newTable()
			table.Sent(5, at(0))
			table.Receive(record("n2", 20, 700), "eth0", at(0))
			table.Receive(tt.d, "eth0", tt.when)
			if got := table.member("n2").boot; got != tt.want {
				t.Errorf("life %d counts, want %d", got, tt.want)
			}
		})
	}
}

func TestARelayedRecordIsAsOldAsItIs(t *testing.T) {
	table := newTable()
	d := record("n2", 20, 7)
	d.Via, d.Age = "n3", 300*ms
	m, _ := table.Receive(d, "eth0", at(time.Second))
	if want := at(700 * ms); !m.at.Equal(want) {
		t.Errorf("made at %v, want %v", m.at, want)
	}
	if !m.directAt.IsZero() {
		t.Error("counts as received directly")
	}
}

func TestRoundTripLeavesOutWhatThePeerWaited(t *testing.T) {
	table := newTable()
	table.Sent(5, at(0))
	m, _ := table.Receive(record("n2", 20, 7, Ack{Boot: 1, Known: 5, Direct: 5, Age: 150 * ms}), "eth0", at(154*ms))
	if m.rtt != 4*ms {
		t.Errorf("round trip = %v, want 4ms", m.rtt)
	}
	if m.heardSeq != 5 || !m.heardAt.Equal(at(0)) || !m.heardDirectAt.Equal(at(0)) {
		t.Errorf("it knows %d of %v, directly of %v; want 5 of %v", m.heardSeq, m.heardAt, m.heardDirectAt, at(0))
	}
}

func TestARecordThatWaitedUnreadIsAsOldAsItsAcknowledgementsShow(t *testing.T) {
	ack := func(age time.Duration) Ack { return Ack{Boot: 1, Known: 5, Direct: 5, Age: age} }
	tests := []struct {
		name string
		ack  Ack
		came time.Duration // after our record 5
		want time.Duration
	}{
		{"read at once", ack(150 * ms), 154 * ms, 154 * ms},
		{"read after a pause of four seconds", ack(150 * ms), 4 * time.Second, 150 * ms},
		{"made while this process stood still", ack(3 * time.Second), 4 * time.Second, 3 * time.Second},
		{"it has not heard us for long", ack(10 * time.Minute), time.Hour, time.Hour},
		{"it acknowledges another life", Ack{Boot: 9, Direct: 5}, 4 * time.Second, 4 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := newTable()
			table.Sent(5, at(0))
			table.suspect = at(24 * time.Hour)
			m, _ := table.Receive(record("n2", 20, 7, tt.ack), "eth0", at(tt.came))
			if got := m.at.Sub(at(0)); (got - tt.want).Abs() > 10*ms {
				t.Errorf("made after %v, want %v", got, tt.want)
			}
			if m.rtt > 10*ms {
				t.Errorf("round trip %v", m.rtt)
			}
		})
	}
}

func TestRelayIsForWhoDoesNotHearTheAuthor(t *testing.T) {
	tests := []struct {
		name string
		acks []Ack // of n3, whether n2's record is relayed to it
		want bool
	}{
		{"it knows the record", []Ack{{Boot: 20, Known: 7}}, false},
		{"it heard the one before directly", []Ack{{Boot: 20, Known: 6, Direct: 6, Age: 200 * ms}}, false},
		{"it has not heard it directly for long", []Ack{{Boot: 20, Known: 6, Direct: 2, Age: time.Second}}, true},
		{"it never heard it directly", []Ack{{Boot: 20, Known: 6}}, true},
		{"it does not know that life", nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := newTable()
			table.Receive(record("n3", 30, 1, tt.acks...), "eth0", at(0))
			table.Receive(record("n2", 20, 7), "eth0", at(0))
			if got := table.lacks(table.member("n3"), table.member("n2"), 500*ms, at(10*ms)); got != tt.want {
				t.Errorf("lacks = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestMembersThatLeftTheConfigurationAreForgotten(t *testing.T) {
	table := newTable()
	table.Receive(record("n2", 20, 7), "eth0", at(0))
	table.Receive(record("n3", 30, 7), "eth0", at(0))
	table.SetMembers([]Member{{Name: "n3"}})
	if m, _ := table.Receive(record("n2", 20, 8), "eth0", at(0)); m != nil {
		t.Error("a record of a node that is no member counts")
	}
	if m := table.member("n3"); m == nil || m.seq != 7 {
		t.Error("what was known of n3 is gone")
	}
}

func TestTableFindsAnAddressInAnotherUnit(t *testing.T) {
	vip := addr("192.0.2.100")
	claim := func(unit string, s State, seq uint64) *Datagram {
		d := record("n2", 20, seq)
		d.Record.Claims = []Claim{{Unit: unit, State: s, Tenure: Tenure{Seq: 1}, VIPHash: 1, VIPs: []netip.Addr{vip}}}
		return d
	}
	table := newTable()
	find := func(unit string) string {
		if m, h := table.elsewhere(unit, []netip.Addr{vip}); m != nil {
			return m.Name + " " + h.Unit
		}
		return ""
	}
	table.Receive(claim("VI_old", Master, 1), "eth0", at(0))
	if got := find("VI_new"); got != "n2 VI_old" {
		t.Errorf("for VI_new: %q, want n2 VI_old", got)
	}
	if got := find("VI_old"); got != "" {
		t.Errorf("for VI_old itself: %q", got)
	}
	table.Receive(claim("VI_old", Backup, 2), "eth0", at(0))
	if got := find("VI_new"); got != "" {
		t.Errorf("after it was dropped: %q", got)
	}
	table.Receive(claim("VI_old", Master, 3), "eth0", at(0))
	if got := find("VI_new"); got != "n2 VI_old" {
		t.Errorf("held again: %q, want n2 VI_old", got)
	}
	table.SetMembers(nil)
	if got := find("VI_new"); got != "" {
		t.Errorf("after n2 left the configuration: %q", got)
	}
}

// step runs a core whose two clocks go alike.
func step(c *Core, now time.Time) Output { return c.Step(now, instant(now)) }

// instant is what the raw clock of these tests shows.
func instant(t time.Time) kclock.Instant { return kclock.Instant(t.Sub(t0)) }
