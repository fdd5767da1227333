package cluster

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/cluster/pki"
	"github.com/hacluster/hacluster/cluster/store"
)

// untouched fails the test when the node's directory holds more than its lock.
func (n *node) untouched() {
	n.t.Helper()
	if got := n.Status().State; got != Waiting {
		n.t.Errorf("%s: state %s, want waiting", n.o.Name, got)
	}
	entries, err := os.ReadDir(n.o.DataDir)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "lock" {
			n.t.Errorf("%s: %s was left behind", n.o.Name, e.Name())
		}
	}
}

func TestJoinReportsEachStep(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "a"), newNode(t, "b")
	a.initCluster("")
	var steps []string
	err := b.Join(t.Context(), JoinOptions{Token: a.token(TokenOptions{}), Progress: func(s JoinStep) {
		if s.Done {
			steps = append(steps, s.Name)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{StepParse, StepDial, StepPin, StepAdmit, StepCertificate, StepCatchUp, StepPromote}, ", ")
	if got := strings.Join(steps, ", "); got != want {
		t.Errorf("steps %s, want %s", got, want)
	}
}

func TestRefusedJoinLeavesTheHostUnchangedAndSaysWhy(t *testing.T) {
	t.Parallel()
	a, other, b := newNode(t, "a"), newNode(t, "other"), newNode(t, "b")
	a.initCluster("")
	other.initCluster("")
	ctx := t.Context()

	used := a.token(TokenOptions{})
	c := newNode(t, "c")
	if err := c.Join(ctx, JoinOptions{Token: used}); err != nil {
		t.Fatal(err)
	}
	revoked, token, _, err := a.CreateToken(ctx, TokenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.RevokeToken(ctx, token.ID, "root"); err != nil {
		t.Fatal(err)
	}
	s, err := a.current()
	if err != nil {
		t.Fatal(err)
	}
	expired, err := pki.NewToken(pki.Voter, s.identity.Load().Pin(), []string{a.o.Listen})
	if err != nil {
		t.Fatal(err)
	}
	hash := expired.Hash()
	past := time.Now().Add(-time.Hour)
	if err := s.store.CreateToken(ctx, store.Token{ID: expired.ID, Hash: hash[:], Role: store.RoleVoter, Created: past, Expires: past.Add(time.Minute), Uses: 1}); err != nil {
		t.Fatal(err)
	}
	unknown, err := pki.NewToken(pki.Voter, s.identity.Load().Pin(), []string{a.o.Listen})
	if err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := silent.Addr().String()
	silent.Close()

	tests := []struct {
		name    string
		options JoinOptions
		want    []string // in the error
	}{
		{"truncated token", JoinOptions{Token: used[:len(used)-7]}, []string{StepParse, "truncated"}},
		{"used token", JoinOptions{Token: used}, []string{StepAdmit, "used up at", "by c"}},
		{"revoked token", JoinOptions{Token: revoked}, []string{StepAdmit, "revoked at", "by root"}},
		{"expired token", JoinOptions{Token: expired.Text()}, []string{StepAdmit, "expired at " + past.Add(time.Minute).UTC().Format(time.RFC3339)}},
		{"unknown token", JoinOptions{Token: unknown.Text()}, []string{StepAdmit, "unknown to this cluster"}},
		{"other cluster at the address", JoinOptions{Token: a.token(TokenOptions{}), Addrs: []string{other.o.Listen}},
			[]string{StepPin, "wrong cluster", a.Status().Fingerprint, other.Status().Fingerprint}},
		{"node that waits at the address", JoinOptions{Token: a.token(TokenOptions{}), Addrs: []string{b.o.Listen}},
			[]string{StepPin, "does not talk as a member"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := b.Join(ctx, test.options)
			if err == nil {
				t.Fatal("Join succeeded")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			b.untouched()
		})
	}
	t.Run("nobody at the address", func(t *testing.T) {
		token, err := pki.NewToken(pki.Voter, s.identity.Load().Pin(), nil)
		if err != nil {
			t.Fatal(err)
		}
		err = b.Join(ctx, JoinOptions{Token: token.Text(), Addrs: []string{gone}})
		if err == nil || !strings.Contains(err.Error(), gone) || !strings.Contains(err.Error(), "no member answers") {
			t.Errorf("Join = %v", err)
		}
		b.untouched()
	})
	t.Run("name that is taken", func(t *testing.T) {
		twin := newNode(t, "c")
		token := a.token(TokenOptions{})
		err := twin.Join(ctx, JoinOptions{Token: token})
		if err == nil || !strings.Contains(err.Error(), "node c is already a member") {
			t.Errorf("Join = %v", err)
		}
		twin.untouched()
		if err := b.Join(ctx, JoinOptions{Token: token}); err != nil {
			t.Errorf("the refused join used the token up: %v", err)
		}
	})
}

func TestJoinThatCannotBeReachedBackUndoesItsAdmission(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "a"), newNode(t, "b")
	a.initCluster("")
	blocked := freeAddr(t) // nothing listens there
	token := a.token(TokenOptions{})
	err := b.Join(t.Context(), JoinOptions{Token: token, Advertise: mustAddr(blocked)})
	if err == nil || !strings.Contains(err.Error(), StepCatchUp) || !strings.Contains(err.Error(), blocked.String()) {
		t.Fatalf("Join = %v, want an error of %q that names %s", err, StepCatchUp, blocked)
	}
	b.untouched()
	if got := len(a.Members()); got != 1 {
		t.Errorf("%d members after the failed join, want 1", got)
	}
	if err := b.Join(t.Context(), JoinOptions{Token: token}); err != nil {
		t.Errorf("the join that came to nothing used the token up: %v", err)
	}
}

func TestLeaveRemovesTheNodeAndItsKeys(t *testing.T) {
	t.Parallel()
	nodes := threeNodes(t)
	leader, others := leaderOf(t, nodes...)
	ctx := t.Context()

	if _, err := leader.Leave(ctx, true); !errors.Is(err, ErrNotLastMember) {
		t.Fatalf("Leave of one of three as the last member = %v, want ErrNotLastMember", err)
	}
	if remaining := mayLeave(t, leader); len(remaining) != 2 {
		t.Fatalf("Leave of the leader = %d remaining, want 2", len(remaining))
	}
	leader.untouched()
	if _, err := others[0].Propose(ctx, store.Proposal{Base: 1, Text: "two\n"}); err != nil {
		t.Fatal(err)
	}
	mayLeave(t, others[0])
	if _, err := others[1].Leave(ctx, false); !errors.Is(err, ErrLastMember) {
		t.Fatalf("Leave of the last member = %v, want ErrLastMember", err)
	}
	if rev, err := others[1].Propose(ctx, store.Proposal{Base: 2, Text: "three\n"}); err != nil || rev.Number != 3 {
		t.Fatalf("Propose on the last member = %d, %v, want 3", rev.Number, err)
	}
	if _, err := others[1].Leave(ctx, true); err != nil {
		t.Fatal(err)
	}
	others[1].untouched()

	// A node that left can come back, under its old name.
	others[1].initCluster("")
	if err := leader.Join(ctx, JoinOptions{Token: others[1].token(TokenOptions{})}); err != nil {
		t.Fatal(err)
	}
}

func TestRolesDecideWhoVotes(t *testing.T) {
	t.Parallel()
	a, b, c := newNode(t, "a"), newNode(t, "b"), newNode(t, "c")
	a.initCluster("")
	for _, join := range []struct {
		n    *node
		role store.Role
	}{{b, store.RoleNonVoter}, {c, store.RoleWitness}} {
		if err := join.n.Join(t.Context(), JoinOptions{Token: a.token(TokenOptions{Role: join.role})}); err != nil {
			t.Fatal(err)
		}
	}
	var voters []string
	for _, v := range a.Status().Voters {
		voters = append(voters, v.Name)
	}
	if got := strings.Join(voters, " "); got != "a c" {
		t.Errorf("voters %s, want a c", got)
	}
}

// A leader that lost its place under way cannot take back what it may have entered.
func TestWhatABrokenAdmissionLeftInRaftIsReplaced(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "a"), newNode(t, "b")
	a.initCluster("")
	left := store.Server{ID: "b#left", Addr: b.o.Advertise.String()}
	if err := a.session.store.AddServer(t.Context(), left); err != nil {
		t.Fatal(err)
	}
	if err := b.Join(t.Context(), JoinOptions{Token: a.token(TokenOptions{})}); err != nil {
		t.Fatal(err)
	}
	if a.session.hasServer(left.ID) {
		t.Errorf("%s is in Raft's configuration still", left.ID)
	}
}

func TestATokenForAVoterAdmitsAWitness(t *testing.T) {
	t.Parallel()
	a, b, c := newNode(t, "a"), newNode(t, "b"), newNode(t, "c")
	a.initCluster("")
	if err := b.Join(t.Context(), JoinOptions{Token: a.token(TokenOptions{}), Witness: true}); err != nil {
		t.Fatal(err)
	}
	if m, _ := a.session.store.Members().ByName("b"); m.Role != store.RoleWitness || b.Status().Role != store.RoleWitness {
		t.Errorf("b is %q to a and %q to itself, want a witness", m.Role, b.Status().Role)
	}
	err := c.Join(t.Context(), JoinOptions{Token: a.token(TokenOptions{Role: store.RoleNonVoter}), Witness: true})
	if err == nil || !strings.Contains(err.Error(), "a witness votes") {
		t.Errorf("Join = %v with a token that gives no vote, want it refused", err)
	}
	c.untouched()
}

func TestOnlyOneDaemonUsesADataDirectory(t *testing.T) {
	t.Parallel()
	a := newNode(t, "a")
	o := a.o
	o.Listen = freeAddr(t).String()
	o.PID = os.Getpid() + 1
	_, err := Open(o)
	running, ok := errors.AsType[*RunningError](err)
	if !ok || running.PID != os.Getpid() || running.DataDir != o.DataDir {
		t.Fatalf("Open = %v, want a RunningError with pid %d", err, os.Getpid())
	}
}

func TestForeignDataIsRefused(t *testing.T) {
	t.Parallel()
	a := newNode(t, "a")
	a.initCluster("")
	a.end()
	t.Run("of another node name", func(t *testing.T) {
		o := a.o
		o.Name = "b"
		if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "belongs to node a") {
			t.Errorf("Open = %v", err)
		}
	})
	t.Run("of a newer version", func(t *testing.T) {
		path := filepath.Join(a.o.DataDir, "node.json")
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		newer := strings.Replace(string(data), `"Format": 1`, `"Format": 2`, 1)
		if err := os.WriteFile(path, []byte(newer), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(a.o); err == nil || !strings.Contains(err.Error(), "upgrade it") {
			t.Errorf("Open = %v", err)
		}
	})
}

// F30: who asks the network knows what this node ran, and its word ends the start.
func TestNodeThatIsNotAloneDoesNotStart(t *testing.T) {
	t.Parallel()
	a := newNode(t, "a")
	a.initCluster("")
	rev := store.Revision{Number: 7, Hash: store.HashText("x"), Text: "x"}
	if err := a.CacheRevision(rev); err != nil {
		t.Fatal(err)
	}
	a.end()
	copied, o := errors.New("another machine has it"), a.o
	o.Alone = func(own netip.Addr, ran store.Revision) error {
		if own != a.o.Advertise.Addr() || ran.Number != 7 || ran.Text != "x" {
			t.Errorf("asked for %v with revision %d %q, want %v with 7 %q", own, ran.Number, ran.Text, a.o.Advertise.Addr(), "x")
		}
		return copied
	}
	if _, err := Open(o); !errors.Is(err, copied) {
		t.Fatalf("Open = %v, want %v", err, copied)
	}
	a.start() // nothing is held, nothing has changed
}

func TestPortInUseIsSaidAtOpen(t *testing.T) {
	t.Parallel()
	a := newNode(t, "a")
	o := a.o
	o.DataDir = t.TempDir()
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), o.Listen) {
		t.Errorf("Open = %v, want an error that names %s", err, o.Listen)
	}
}

func TestCachedRevisionIsThereAtStartWithoutAnybody(t *testing.T) {
	t.Parallel()
	nodes := threeNodes(t)
	rev, err := nodes[1].Revisions().Latest()
	if err != nil {
		t.Fatal(err)
	}
	if err := nodes[1].CacheRevision(rev); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		n.end()
	}
	nodes[1].start()
	got, err := nodes[1].CachedRevision()
	if err != nil || got.Number != rev.Number || got.Text != rev.Text {
		t.Fatalf("CachedRevision = %+v, %v", got, err)
	}

	path := filepath.Join(nodes[1].o.DataDir, "revision.json")
	info, err := os.Stat(path)
	if err != nil || info.Mode() != fs.FileMode(0o600) {
		t.Errorf("mode %v, %v, want 0600: the text holds passwords", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte(`{"Format":1,"Number":7,"Text":"x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = nodes[1].CachedRevision()
	if _, ok := errors.AsType[*store.CorruptCacheError](err); !ok {
		t.Errorf("CachedRevision of a damaged file = %v", err)
	}
}

func TestCallsNeedAMembersCertificate(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "a"), newNode(t, "b")
	a.initCluster("")
	if err := b.Join(t.Context(), JoinOptions{Token: a.token(TokenOptions{})}); err != nil {
		t.Fatal(err)
	}
	s, err := b.current()
	if err != nil {
		t.Fatal(err)
	}
	identity := s.identity.Load()
	mayLeave(t, b)
	// b's certificate is still valid for months, but b is no member any more.
	p := newPeers("b", func() *pki.Identity { return identity })
	defer p.Close()
	eventually(t, "a answers", func() bool {
		_, err = p.ReadIndex(t.Context(), store.Server{ID: "a#x", Addr: a.o.Listen})
		return !errors.Is(err, store.ErrNoLeader) // nothing was sent
	})
	if err == nil || !strings.Contains(err.Error(), "not a member") {
		t.Errorf("ReadIndex with the certificate of a former member = %v", err)
	}
}
