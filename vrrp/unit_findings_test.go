package vrrp

import (
	"net/netip"
	"testing"
	"time"
)

// What the findings of the project's review say of units, one test for each that no
// other test answers. The table is docs/findings.md.

// group is a sync group of two instances that has just entered BACKUP at epoch, with
// a source address for each.
func group(t *testing.T, lease KernelLease, sources ...netip.Addr) *Unit {
	t.Helper()
	g := UnitSpec{Name: "G", Group: true, KernelLease: lease}
	for i, name := range []string{"VI_1", "VI_2"} {
		g.Instances = append(g.Instances, spec(func(s *InstanceSpec) {
			s.Name, s.VRID, s.Addresses = name, VRID(51+i), []Address{vip}
			s.Tracks = []Track{{Key: name}}
		}))
	}
	u := NewUnit(g)
	for i, name := range []string{"VI_1", "VI_2"} {
		u.Step(epoch, SourceChanged{Instance: name, Source: sources[i]})
		u.Step(epoch, TrackResult{Key: name, Up: true})
	}
	u.Step(epoch, Startup{})
	if got := u.Status(); got.State != Backup {
		t.Fatalf("state = %v (%s), want BACKUP", got.State, got.Reason)
	}
	return u
}

// S10, R0: two nodes with a half of a group each would both wait for the other half,
// and renew what they have, for ever. There are no halves: one tenure and one lease
// are for all members, and the fault of one lets go of all.
func TestAGroupIsHeldAsAWholeOrNotAtAll(t *testing.T) {
	claims := func(actions []Action) (claimed, released int) {
		for _, a := range actions {
			switch a.(type) {
			case Claim:
				claimed++
			case Release:
				released++
			}
		}
		return claimed, released
	}
	u := group(t, LeaseByEvents, self, self)
	now := epoch.Add(time.Minute)
	if claimed, _ := claims(u.Step(now, TakeOver{Reason: "granted"})); claimed != 2 || u.Status().Tenure.Seq != 1 {
		t.Errorf("one grant claimed %d of 2 instances, in tenure %d; want both in tenure 1", claimed, u.Status().Tenure.Seq)
	}
	if _, released := claims(u.Step(now, TrackResult{Key: "VI_2"})); released != 2 || u.Status().State != Fault {
		t.Errorf("the fault of one released %d of 2 instances, %v; want both, FAULT", released, u.Status().State)
	}
	if claimed, _ := claims(u.Step(now, TakeOver{Reason: "granted"})); claimed != 0 {
		t.Errorf("%d instances of a group in FAULT were claimed", claimed)
	}
}

// S46, R2: with equal priorities the higher address wins, and on two networks that
// may be another node each. A tenure has the address of the first instance, so that
// one of two wins all of it, and adverts on the other network do not undo that.
func TestAGroupIsOrderedByItsFirstInstance(t *testing.T) {
	address := func(s string) netip.Addr { return netip.MustParseAddr(s) }
	a1, a2 := address("192.0.2.1"), address("198.51.100.9")
	b1, b2 := address("192.0.2.2"), address("198.51.100.8")
	a, b := group(t, NoKernelLease, a1, a2), group(t, NoKernelLease, b1, b2)
	now := epoch.Add(5 * sec) // cut apart so far: both are MASTER
	for _, side := range []struct {
		unit    *Unit
		primary netip.Addr
		other   []netip.Addr
	}{{a, a1, []netip.Addr{b1, b2}}, {b, b1, []netip.Addr{a1, a2}}} {
		side.unit.Step(now, Tick{})
		side.unit.Step(now, Members{Addrs: side.other})
		if got := side.unit.Status().Tenure; got.Primary != side.primary {
			t.Fatalf("a tenure begins with %v, want %v of the first instance", got.Primary, side.primary)
		}
	}
	hear := func(u *Unit, from ...netip.Addr) {
		for i, name := range []string{"VI_1", "VI_2"} {
			u.Step(now, Advert{Instance: name, From: from[i], Priority: 100, Interval: sec})
		}
	}
	hear(a, b1, b2)
	hear(b, a1, a2)
	if a.Status().State != Master || b.Status().State != Master {
		t.Fatalf("adverts of members ended a tenure: %v and %v", a.Status().State, b.Status().State)
	}
	a.Step(now, Yield{Tenure: 1, Successor: "b"}) // 192.0.2.1 is the lower one
	for range 60 {
		now = now.Add(sec)
		b.Step(now, Tick{})
		hear(a, b1, b2)
		if a.Status().State != Backup || b.Status().State != Master || b.Status().Tenure.Seq != 1 {
			t.Fatalf("%v after the end of the conflict: %v and %v, want BACKUP and MASTER",
				now.Sub(epoch)-5*sec, a.Status().State, b.Status().State)
		}
	}
}

// S40, R1: the proof that a holder is gone comes a heartbeat after the hold. Another
// Master_Down_Interval from there would be dark for nothing.
func TestAUnitThatWasHeldWaitsForItsRankAndNoLonger(t *testing.T) {
	u := backup(t, spec())
	until := epoch.Add(10 * sec)
	for at := time.Duration(0); at < 8*sec; at += 200 * time.Millisecond { // each heartbeat
		u.Step(epoch.Add(at), Hold{Until: epoch.Add(at + 2220*time.Millisecond), Rank: 20 * time.Millisecond})
	}
	u.Step(epoch.Add(8*sec), Hold{Until: until, Rank: 20 * time.Millisecond, Reason: "n1 claims VI_1"})
	due := until.Add(20 * time.Millisecond)
	if got := u.Deadline(); !got.Equal(due) {
		t.Errorf("it looks again %v after the hold, want after its rank of 20ms", got.Sub(until))
	}
	u.Step(due.Add(-1), Tick{})
	if got := u.Status().State; got != Backup {
		t.Errorf("state = %v before its rank, want BACKUP", got)
	}
	u.Step(due, Tick{})
	if got := u.Status().State; got != Master {
		t.Errorf("state = %v after its rank, want MASTER", got)
	}
}

// S44, R2: an advert carries the priority of now, a claim that of the beginning. Were
// both asked, each of two masters could lose by one of them.
func TestAdvertsOfMembersEndNoTenure(t *testing.T) {
	for _, tt := range []struct {
		name    string
		members []netip.Addr
		want    State
	}{
		{"of a member", []netip.Addr{peer}, Master},
		{"of a router in no contact", nil, Backup},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, now := master(t, spec())
			u.Step(now, Members{Addrs: tt.members})
			u.Step(now, advert(peer, 254, sec))
			if got := u.Status().State; got != tt.want {
				t.Errorf("state = %v after an advert of priority 254, want %v", got, tt.want)
			}
		})
	}
}
