package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var day1 = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// mustCommand makes a command of version 1.
func mustCommand(t testing.TB, machine, name string, body any) Command {
	t.Helper()
	cmd, err := newCommand(machine, name, 1, NewRequestID(), body)
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}

func mustPropose(t testing.TB, r *Revisions, base uint64, text string, at time.Time) {
	t.Helper()
	cmd, err := proposeCommand(Proposal{Base: base, Text: text, Author: "ann", Message: "m"}, at)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Apply(cmd); err != nil {
		t.Fatal(err)
	}
}

func refusalCode(err error) Code {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Code
	}
	return ""
}

// filled returns each machine with something in it.
func filled(t testing.TB) []Machine {
	t.Helper()
	r, m, k, s := newRevisions(DefaultRetention()), newMembers(), newTokens(), newSecrets()
	mustPropose(t, r, 0, "one\n", day1)
	mustPropose(t, r, 1, "two\n", day1.Add(time.Hour))
	apply := func(machine Machine, name string, body any) {
		t.Helper()
		if _, err := machine.Apply(mustCommand(t, machine.Name(), name, body)); err != nil {
			t.Fatal(err)
		}
	}
	apply(m, "add", Member{ID: "b#1", Name: "b", Addr: netip.MustParseAddrPort("192.0.2.2:7112"), Role: RoleVoter, KeyID: []byte{1}, Added: day1, Joined: true,
		HeartbeatAddrs: []netip.AddrPort{netip.MustParseAddrPort("[2001:db8::2]:7113")}})
	apply(m, "add", Member{ID: "a#1", Name: "a", Addr: netip.MustParseAddrPort("192.0.2.1:7112"), Role: RoleWitness})
	apply(k, "create", Token{ID: "t1", Hash: []byte("h"), Role: RoleVoter, Created: day1, Expires: day1.Add(time.Hour), Uses: 2})
	apply(k, "redeem", redeemV1{ID: "t1", Hash: []byte("h"), Node: "b", Now: day1})
	apply(s, "put", putV1{Name: "ca.key", Value: []byte("secret")})
	return []Machine{r, m, k, s}
}

func TestSnapshotRestoresEachMachine(t *testing.T) {
	empty := map[string]func() Machine{
		"revisions": func() Machine { return newRevisions(DefaultRetention()) },
		"members":   func() Machine { return newMembers() },
		"tokens":    func() Machine { return newTokens() },
		"secrets":   func() Machine { return newSecrets() },
	}
	for _, machine := range filled(t) {
		t.Run(machine.Name(), func(t *testing.T) {
			data, err := machine.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			restored := empty[machine.Name()]()
			before, err := restored.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			if err := restored.Restore(data); err != nil {
				t.Fatal(err)
			}
			again, err := restored.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(data), string(again)); diff != "" {
				t.Error(diff)
			}
			if err := restored.Restore([]byte("{]")); err == nil {
				t.Error("a damaged snapshot was restored")
			}
			if err := restored.Restore(before); err != nil {
				t.Fatal(err)
			}
			if err := restored.Restore([]byte("null")); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestSnapshotAnswersOldRequestsAfterRestore(t *testing.T) {
	cmd := mustCommand(t, "tokens", "revoke", revokeV1{ID: "none"})
	f := newFSM(filled(t), nil)
	f.requests.add(cmd, reply{Index: 3, Data: []byte("answer")})
	snap, err := f.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	sink := &memorySink{}
	if err := snap.Persist(sink); err != nil {
		t.Fatal(err)
	}
	g := newFSM([]Machine{newRevisions(DefaultRetention()), newMembers(), newTokens(), newSecrets()}, nil)
	if err := g.Restore(sink); err != nil {
		t.Fatal(err)
	}
	if got, ok := g.requests.find(cmd); !ok || string(got.Data) != "answer" {
		t.Errorf("find = %+v, %v", got, ok)
	}
}

// memorySink is a snapshot in memory.
type memorySink struct{ bytes.Buffer }

func (*memorySink) Close() error  { return nil }
func (*memorySink) Cancel() error { return nil }
func (*memorySink) ID() string    { return "test" }

func TestSnapshotOfANewerProgramIsRefused(t *testing.T) {
	for name, s := range map[string]snapshot{
		"format":  {Format: snapshotFormat + 1},
		"machine": {Format: snapshotFormat, Machines: map[string]json.RawMessage{"rollouts": []byte("{}")}},
	} {
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		sink := &memorySink{}
		sink.Write(data)
		err = newFSM(filled(t), nil).Restore(sink)
		if err == nil || !strings.Contains(err.Error(), "upgrade this node") {
			t.Errorf("%s: Restore = %v", name, err)
		}
	}
}

func TestHistoryIsBoundedButTheLastHundredStay(t *testing.T) {
	tests := []struct {
		name      string
		retention Retention
		want      int
	}{
		{"everything is old", Retention{MaxAge: time.Minute, MaxBytes: 1 << 30}, 100},
		{"everything is too large", Retention{MaxAge: 1 << 62, MaxBytes: 1}, 100},
		{"nothing is", Retention{MaxAge: 1 << 62, MaxBytes: 1 << 30}, 150},
		{"more are asked for", Retention{MinRevisions: 120, MaxAge: time.Minute, MaxBytes: 1}, 120},
		{"fewer are asked for", Retention{MinRevisions: 5, MaxAge: time.Minute, MaxBytes: 1}, 100},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRevisions(test.retention)
			for i := range 150 {
				mustPropose(t, r, uint64(i), fmt.Sprint(i), day1.Add(time.Duration(i)*time.Hour))
			}
			if got := len(r.History(0)); got != test.want {
				t.Errorf("%d revisions kept, want %d", got, test.want)
			}
			if _, err := r.Get(51); err != nil {
				t.Errorf("Get(51) = %v", err)
			}
			_, err := r.Get(1)
			if _, tooOld := errors.AsType[*TooOldError](err); tooOld != (test.want < 150) {
				t.Errorf("Get(1) = %v", err)
			}
		})
	}
	r := newRevisions(DefaultRetention())
	if _, err := r.Get(1); !errors.Is(err, ErrNoRevision) {
		t.Errorf("Get of a revision to come = %v, want ErrNoRevision", err)
	}
}

func TestRevisionThatCannotBeReadBackIsRefused(t *testing.T) {
	bomb, err := deflate(strings.Repeat("x", MaxDocument+1))
	if err != nil {
		t.Fatal(err)
	}
	good, err := deflate("text")
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]proposeV1{
		"bomb":         {Deflated: bomb, Hash: HashText("x")},
		"not deflated": {Deflated: []byte("text"), Hash: HashText("text")},
		"other hash":   {Deflated: good, Hash: HashText("other")},
	} {
		r := newRevisions(DefaultRetention())
		if _, err := r.Apply(mustCommand(t, "revisions", "propose", body)); refusalCode(err) == "" || len(r.History(0)) != 0 {
			t.Errorf("%s: Apply = %v, want a refusal", name, err)
		}
	}
}

func TestMembers(t *testing.T) {
	voter := func(i int) Member {
		return Member{ID: fmt.Sprintf("n%d#1", i), Name: fmt.Sprintf("n%d", i), Role: RoleVoter, Joined: true,
			Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 7112)}
	}
	add := func(m *Members, member Member) error {
		_, err := m.Apply(mustCommand(t, "members", "add", member))
		return err
	}
	m := newMembers()
	for i := range MaxVoters {
		if err := add(m, voter(i)); err != nil {
			t.Fatal(err)
		}
	}
	twin := voter(20)
	twin.Name = "n1"
	if err := add(m, twin); refusalCode(err) != CodeDuplicateNode {
		t.Errorf("second node of one name: %v", err)
	}
	twin = voter(21)
	twin.Addr = voter(1).Addr
	if err := add(m, twin); refusalCode(err) != CodeDuplicateNode {
		t.Errorf("second node at one address: %v", err)
	}
	if err := add(m, voter(22)); refusalCode(err) != CodeTooManyVoters {
		t.Errorf("eighth voter: %v", err)
	}
	quiet := voter(22)
	quiet.Role = RoleNonVoter
	if err := add(m, quiet); err != nil {
		t.Errorf("non-voter beside seven voters: %v", err)
	}
	unfinished := quiet
	unfinished.ID, unfinished.Name, unfinished.Joined = "x#1", "x", false
	unfinished.Addr = voter(23).Addr
	if err := add(m, unfinished); err != nil {
		t.Fatal(err)
	}
	unfinished.ID = "x#2"
	if err := add(m, unfinished); err != nil {
		t.Errorf("a join that was never finished keeps its name: %v", err)
	}
	if got, _ := m.ByName("x"); got.ID != "x#2" {
		t.Errorf("ByName(x) = %s, want x#2", got.ID)
	}
	if _, err := m.Apply(mustCommand(t, "members", "update", voter(50))); refusalCode(err) != CodeNoSuchNode {
		t.Errorf("update of a stranger: %v", err)
	}

	last := newMembers()
	if err := add(last, voter(1)); err != nil {
		t.Fatal(err)
	}
	remove := func(body removeV1) error {
		_, err := last.Apply(mustCommand(t, "members", "remove", body))
		return err
	}
	if err := remove(removeV1{ID: "gone#1"}); err != nil {
		t.Errorf("removing what is gone: %v", err)
	}
	if err := remove(removeV1{ID: "n1#1"}); refusalCode(err) != CodeLastMember {
		t.Errorf("removing the last member: %v", err)
	}
	if err := remove(removeV1{ID: "n1#1", Last: true}); err != nil || len(last.List()) != 0 {
		t.Errorf("removing the last member on purpose: %v", err)
	}
}

func TestTokens(t *testing.T) {
	k := newTokens()
	apply := func(name string, body any) error {
		_, err := k.Apply(mustCommand(t, "tokens", name, body))
		return err
	}
	redeem := func(id, node string, at time.Time) Code {
		return refusalCode(apply("redeem", redeemV1{ID: id, Hash: []byte(id), Node: node, Now: at}))
	}
	for _, token := range []Token{
		{ID: "once", Uses: 1}, {ID: "any", Uses: 0}, {ID: "revoked", Uses: 1},
	} {
		token.Hash, token.Created, token.Expires = []byte(token.ID), day1, day1.Add(time.Hour)
		if err := apply("create", token); err != nil {
			t.Fatal(err)
		}
	}
	if err := apply("create", Token{ID: "once"}); refusalCode(err) != CodeTokenExists {
		t.Errorf("second token of one id: %v", err)
	}
	if err := apply("revoke", revokeV1{ID: "revoked", By: "root", Now: day1}); err != nil {
		t.Fatal(err)
	}
	late := day1.Add(time.Hour)
	for _, step := range []struct {
		id, node string
		at       time.Time
		want     Code
	}{
		{"none", "a", day1, CodeTokenUnknown},
		{"once", "a", day1, ""},
		{"once", "b", day1, CodeTokenUsed},
		{"any", "a", day1, ""},
		{"any", "b", day1, ""},
		{"any", "c", late, CodeTokenExpired},
		{"revoked", "a", day1, CodeTokenRevoked},
	} {
		if got := redeem(step.id, step.node, step.at); got != step.want {
			t.Errorf("redeem %s for %s = %q, want %q", step.id, step.node, got, step.want)
		}
	}
	wrong := apply("redeem", redeemV1{ID: "any", Hash: []byte("guess"), Node: "x", Now: day1})
	if refusalCode(wrong) != CodeTokenUnknown {
		t.Errorf("wrong secret: %v", wrong)
	}
	if err := apply("refund", redeemV1{ID: "once", Node: "a"}); err != nil {
		t.Fatal(err)
	}
	if got := redeem("once", "b", day1); got != "" {
		t.Errorf("redeem after a refund = %q", got)
	}
	for _, token := range k.List() {
		if len(token.Hash) != 0 {
			t.Errorf("the list shows the hash of %s", token.ID)
		}
	}
	// Long after, they are forgotten.
	if err := apply("create", Token{ID: "new", Created: late.Add(forgetAfter + time.Hour)}); err != nil || len(k.List()) != 1 {
		t.Errorf("%d tokens remembered, %v, want 1", len(k.List()), err)
	}
}

func TestSecretChangesOnlyOnItsBase(t *testing.T) {
	s := newSecrets()
	put := func(base uint64, value string) error {
		_, err := s.Apply(mustCommand(t, "secrets", "put", putV1{Name: "k", Base: base, Value: []byte(value)}))
		return err
	}
	if err := put(0, "one"); err != nil {
		t.Fatal(err)
	}
	if err := put(0, "other"); refusalCode(err) != CodeSecretChanged {
		t.Errorf("put on an old base: %v", err)
	}
	if err := put(1, "two"); err != nil {
		t.Fatal(err)
	}
	if value, version := s.Get("k"); string(value) != "two" || version != 2 {
		t.Errorf("Get = %q version %d", value, version)
	}
}

func TestBodyThatIsNotOfItsVersionIsRefusedAndChangesNothing(t *testing.T) {
	for _, machine := range filled(t) {
		before, err := machine.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		for name := range machine.Commands() {
			for _, body := range []string{"", "[]", `{"Field":"of a later version"}`} {
				_, err := machine.Apply(Command{Machine: machine.Name(), Name: name, Version: 1, Body: []byte(body)})
				if refusalCode(err) != codeBadBody {
					t.Errorf("%s.%s with body %q = %v, want a refusal", machine.Name(), name, body, err)
				}
			}
		}
		if after, _ := machine.Snapshot(); !bytes.Equal(before, after) {
			t.Errorf("%s changed", machine.Name())
		}
	}
}

func TestOldRequestsAreForgottenInOrder(t *testing.T) {
	var r requests
	cmd := func(i int) Command { return Command{Machine: "m", Name: "n", RequestID: fmt.Sprint(i)} }
	for i := range maxRequests + 10 {
		r.add(cmd(i), reply{Index: uint64(i)})
	}
	if _, ok := r.find(cmd(9)); ok {
		t.Error("the tenth request is still remembered")
	}
	if got, ok := r.find(cmd(10)); !ok || got.Index != 10 {
		t.Errorf("the eleventh request: %+v, %v", got, ok)
	}
	other := cmd(11)
	other.Name = "other"
	if got, ok := r.find(other); !ok || got.Refusal == nil || got.Refusal.Code != codeRequestReused {
		t.Errorf("an id used for another command = %+v, %v", got, ok)
	}
	if len(r.list) != maxRequests || len(r.byID) != maxRequests {
		t.Errorf("%d and %d requests remembered, want %d", len(r.list), len(r.byID), maxRequests)
	}
}
