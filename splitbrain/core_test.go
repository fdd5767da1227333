package splitbrain

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/rules"
)

// newCore is n1's core at t0, with members n2 and n3 and one unit.
func newCore(s State) *Core {
	c := NewCore("n1", 1, 9, 0, t0)
	c.SetMembers([]Member{{Name: "n2"}, {Name: "n3"}})
	u := *ownView(s)
	u.Since = t0
	c.SetUnits([]UnitView{u})
	return c
}

// anyRecord is a record of n2 or n3 that keeps the codec's bounds and no others.
func anyRecord(rng *rand.Rand) *Datagram {
	num := func() uint64 { return []uint64{0, 1, 2, 3, 50, rng.Uint64()}[rng.IntN(6)] }
	dur := func() time.Duration {
		return []time.Duration{0, ms, 100 * ms, time.Second, MaxAge}[rng.IntN(5)]
	}
	boot := func() BootID { return BootID(num()) }
	ip := func() netip.Addr {
		return []netip.Addr{{}, addr("192.0.2.1"), addr("192.0.2.2"), addr("fe80::1")}[rng.IntN(4)]
	}
	d := &Datagram{Record: Record{
		Cluster: 9, Node: []string{"n2", "n3"}[rng.IntN(2)], Boot: BootID(20 + rng.IntN(3)), Seq: 1 + num()%1000,
		Part: uint16(rng.IntN(3)), Leaving: rng.IntN(20) == 0, Interval: dur(), Addrs: []netip.Addr{ip()},
		Acks: []Ack{{Boot: boot(), Known: num(), Direct: num(), Age: dur()}},
	}}
	if rng.IntN(3) == 0 {
		d.Via, d.Age = "n3", dur()
	}
	for range rng.IntN(3) {
		c := Claim{
			Unit: []string{"VI_1", "VI_2"}[rng.IntN(2)], Policy: Policy(rng.IntN(3)), State: State(rng.IntN(4)), Wants: Want(rng.IntN(3)),
			Eligible: rng.IntN(2) == 0, Released: rng.IntN(2) == 0, Tenure: Tenure{num(), uint8(num()), ip()},
			Priority: uint8(num()), Primary: ip(), Yielded: TenureID{boot(), num()},
			Reserved: Reservation{num(), boot(), dur(), dur()},
			VIPs:     []netip.Addr{addr("192.0.2.100")}, Heard: ip(), HeardPriority: uint8(num()), HeardAge: dur(),
			Path: PathState(rng.IntN(4)), PathAge: dur(), Sight: Sight{SightKind(rng.IntN(5)), boot(), dur()},
		}
		d.Record.Claims = append(d.Record.Claims, c)
		d.Record.Requests = append(d.Record.Requests, Request{num(), "VI_1", TenureID{boot(), num()}, rng.IntN(2) == 0, Silence(rng.IntN(4))})
		d.Record.Refusals = append(d.Record.Refusals, Refusal{num(), boot(), "no"})
		d.Record.Invites = append(d.Record.Invites, Invite{num(), "VI_1", "n1"})
	}
	return d
}

// Members can be of another version, or broken: whatever they say, a core goes
// on, stays within its rates and says what can be encoded.
func TestCoreEnduresAnyRecord(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		state := []State{Backup, Master}[seed%2]
		c := newCore(state)
		clock, records := t0, 0
		for range 3000 {
			clock = clock.Add(time.Duration(rng.IntN(5000)) * time.Microsecond)
			c.Receive(clock, anyRecord(rng), "eth0")
			out := step(c, clock)
			if out.Record != nil {
				records++
				if _, err := Encode(out.Record); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
			for _, r := range out.Relays {
				if _, err := EncodeRelay(&r.Datagram); err != nil {
					t.Fatalf("seed %d: relay: %v", seed, err)
				}
			}
			for _, v := range out.Verdicts {
				if h, ok := v.Verdict.(Hold); ok && h.Until.Sub(clock) > 3*rules.MaxHeartbeat {
					t.Fatalf("seed %d: hold for %v", seed, h.Until.Sub(clock))
				}
			}
			c.View(clock, instant(clock))
		}
		if most := burst + int(clock.Sub(t0)/c.spacing()) + 1; records > most {
			t.Errorf("seed %d: %d records in %v; at most %d", seed, records, clock.Sub(t0), most)
		}
	}
}

func TestCoreRefusesARequestOnceForEachNumber(t *testing.T) {
	c := newCore(Master)
	step(c, t0)
	for i := range 5 {
		d := record("n2", 20, uint64(i+1), Ack{Boot: 1, Known: 1, Direct: 1})
		d.Record.Claims = []Claim{*peer(Backup).Claim}
		d.Record.Requests = []Request{{ID: 77, Unit: "VI_1", Tenure: TenureID{1, 4}, Preempt: true}}
		c.Receive(at(time.Duration(i+1)*200*ms), d, "eth0")
		out := step(c, at(time.Duration(i+1)*200*ms))
		if out.Record == nil || len(out.Record.Refusals) != 1 || out.Record.Refusals[0].ID != 77 {
			t.Fatalf("record %+v; want one refusal of 77", out.Record)
		}
	}
}

// Nobody waits until the last claim of a unit that was removed is old.
func TestAUnitThatIsLeftOutIsReleased(t *testing.T) {
	c, other := newCore(Master), newCore(Backup)
	c.node, c.table.self, c.table.boot = "n2", "n2", 20
	tell := func(at time.Time) *Record {
		out := step(c, at)
		if out.Record != nil {
			other.Receive(at, &Datagram{Record: *out.Record}, "eth0")
		}
		return out.Record
	}
	tell(t0)
	step(other, t0)

	c.SetUnits(nil)
	tell(at(ms))
	took := false
	for _, v := range step(other, at(ms)).Verdicts {
		_, ok := v.Verdict.(TakeOver)
		took = took || ok
	}
	if !took {
		t.Error("the other node is not told to take over")
	}
	for i := range farewells - 1 {
		if r := tell(at(time.Duration(i+1) * time.Second)); len(r.Claims) != 1 || r.Claims[0].State != Init || !r.Claims[0].Released {
			t.Errorf("record %d claims %+v; want INIT, released", i, r.Claims)
		}
	}
	if r := tell(at(time.Minute)); len(r.Claims) != 0 {
		t.Errorf("a minute later it claims %+v; want nothing", r.Claims)
	}

	c.SetUnits([]UnitView{*ownView(Backup)})
	c.SetUnits(nil)
	c.SetUnits([]UnitView{*ownView(Backup)})
	if r := tell(at(2 * time.Minute)); len(r.Claims) != 1 || r.Claims[0].State != Backup {
		t.Errorf("back again it claims %+v; want BACKUP alone", r.Claims)
	}
}

func TestUnitsWithoutAUsableNameAreLeftToVRRP(t *testing.T) {
	c := newCore(Backup)
	u := *ownView(Backup)
	u.Name = string(make([]byte, MaxUnitName+1))
	c.SetUnits([]UnitView{u})
	if out := step(c, t0); len(out.Verdicts) != 0 || len(out.Record.Claims) != 0 {
		t.Errorf("verdicts %v, claims %v; want none", out.Verdicts, out.Record.Claims)
	}
}

func TestDisarmingEndsByItself(t *testing.T) {
	c := newCore(Backup)
	c.SetDisarmed(now.Add(time.Minute))
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {time.Minute - 1, true}, {time.Minute, false}, {time.Hour, false}} {
		step(c, now.Add(tt.after))
		if got := c.disarmed(now.Add(tt.after)); got != tt.want {
			t.Errorf("disarmed after %v = %v, want %v", tt.after, got, tt.want)
		}
	}
}

// mesh_interface: the others send heartbeats to what a record says.
func TestFurtherAddressesAreToldAndTakenBack(t *testing.T) {
	c := newCore(Backup)
	extra := addr("203.0.113.1")
	c.SetAddrs([]netip.Addr{extra})
	said := func(now time.Time) bool {
		t.Helper()
		out := step(c, now)
		if out.Record == nil {
			t.Fatal("no record")
		}
		return slices.Contains(out.Record.Addrs, extra)
	}
	if !said(t0) {
		t.Error("the address of mesh_interface is not told")
	}
	c.SetUnits([]UnitView{*ownView(Backup)})
	if !said(t0.Add(time.Second)) {
		t.Error("it is forgotten with the next units")
	}
	c.SetAddrs(nil)
	c.SetUnits([]UnitView{*ownView(Backup)})
	if said(t0.Add(2 * time.Second)) {
		t.Error("it is told although nobody gives it any more")
	}
}

func TestHeartbeatIntervalIsTheConfiguredOne(t *testing.T) {
	c := newCore(Backup)
	c.SetUnits(nil)
	c.SetHeartbeat(700 * ms)
	if out := step(c, t0); out.Record == nil || out.Record.Interval != 700*ms {
		t.Errorf("record %+v, want an interval of 700ms", out.Record)
	}
	if due := c.Deadline(); due.Sub(t0) != 700*ms {
		t.Errorf("the next record is due after %v, want 700ms", due.Sub(t0))
	}
}

// A planned restart is over in a tenth of a second: who looks once a second would
// not see that a member said so.
func TestNewFactsOfAMemberAreShownAtOnce(t *testing.T) {
	c := newCore(Backup)
	record := func(seq uint64, facts string) *Datagram {
		return &Datagram{Record: Record{Cluster: 9, Node: "n2", Boot: 2, Seq: seq, Interval: 200 * ms, Facts: []byte(facts)}}
	}
	now := t0
	for seq, facts := range []string{"", "r7", "r7", "r7 restarting", "r7"} {
		if seq == 0 {
			continue
		}
		now = now.Add(10 * ms)
		c.Receive(now, record(uint64(seq), facts), "eth0")
		changed := step(c, now).Changed
		if want := seq != 2; changed != want {
			t.Errorf("record %d (%q): changed %t, want %t", seq, facts, changed, want)
		}
	}
}
