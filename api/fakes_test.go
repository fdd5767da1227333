package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/hacluster/hacluster/cluster"
	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/internal/preflight"
	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/director"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/observed/confirm"
	"github.com/hacluster/hacluster/observed/disarm"
	"github.com/hacluster/hacluster/observed/incident"
	"github.com/hacluster/hacluster/observed/override"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/vrrp"
)

// document is one instance for all nodes, with a secret.
const document = `vrrp_instance vi_1 {
    interface eth0
    virtual_router_id 51
    priority 100
    @lb1 priority 120
    authentication {
        auth_type PASS
        auth_pass s3cret
    }
    virtual_ipaddress {
        192.0.2.100/24
    }
}
`

// lan is a cluster whose nodes share one history and answer each other in
// memory.
type lan struct {
	deaf      string // hears nobody,
	deafFor   int    // in so many examinations of any node
	examined  int
	joins     string // is no member yet
	witness   string
	remove    error // what Remove says
	mu        sync.Mutex
	state     cluster.State
	history   []store.Revision
	nodes     map[string]*node
	disarm    *disarm.Machine // of all nodes
	confirm   *confirm.Machine
	stories   []incident.Story
	traced    map[string][]*splitbrain.Traced     // by node
	services  map[string][]director.ServiceStatus // by node
	overrides *override.Machine
	conns     map[string][]lvs.Connection // by node
	tables    map[string]lvs.Status       // by node
}

// node is one member with its Server.
type node struct {
	lan     *lan
	name    string
	off     bool // its API does not answer the others
	hub     *observed.Hub
	server  *Server
	conn    *grpc.ClientConn
	refuse  config.Findings // what Prepare says
	stuck   error           // what Await says
	propose error           // what Propose says
}

func newLAN(t *testing.T, names ...string) *lan {
	t.Helper()
	l := &lan{state: cluster.Member, nodes: make(map[string]*node), disarm: disarm.NewMachine(time.Now), confirm: confirm.NewMachine(time.Now), overrides: override.NewMachine()}
	l.history = []store.Revision{{Number: 1, Text: document, Hash: store.HashText(document), Author: "root", Message: "init", Time: time.Unix(1000, 0)}}
	for _, name := range names {
		l.nodes[name] = l.add(t, name)
	}
	l.publish(names)
	return l
}

// apply is what the replicated machines do.
func (l *lan) apply(_ context.Context, _ string, cmd store.Command) ([]byte, error) {
	switch cmd.Machine {
	case l.confirm.Name():
		return l.confirm.Apply(cmd)
	case l.overrides.Name():
		return l.overrides.Apply(cmd)
	}
	return l.disarm.Apply(cmd)
}

func (l *lan) add(t *testing.T, name string) *node {
	n := &node{lan: l, name: name, hub: observed.NewHub()}
	n.server = New(Options{
		Node: name, Version: "1.0.0", Commit: "abc", Started: time.Unix(900, 0), Logger: slog.New(slog.DiscardHandler),
		Hub: n.hub, Runner: n, Arbiter: n, Examiner: n, Cluster: n, Revisions: func() Revisions { return l },
		Confirm: func() *confirm.Machine { return l.confirm },
		Apply:   l.apply, Incidents: func() []incident.Story { return slices.Clone(l.stories) },
		Decisions: func(*incident.Story) ([]*splitbrain.Traced, error) { return l.traced[name], nil },
		Services:  func(context.Context) ([]director.ServiceStatus, error) { return l.services[name], nil },
		Overrides: func() []override.Override { return l.overrides.State().Overrides },
		Table:     func() lvs.Status { return l.tables[name] },
		Connections: func(_ context.Context, each func(lvs.Connection) bool) error {
			for _, c := range l.conns[name] {
				each(c)
			}
			return nil
		},
	})
	// The members' side of the API, without TLS.
	pipe := bufconn.Listen(1 << 16)
	g := grpc.NewServer()
	n.server.Register(g)
	go g.Serve(pipe) // ends with Stop
	t.Cleanup(g.Stop)
	conn, err := grpc.NewClient("passthrough:///"+name, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			l.mu.Lock()
			off := n.off
			l.mu.Unlock()
			if off {
				return nil, errors.New("connection refused")
			}
			return pipe.DialContext(ctx)
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	n.conn = conn
	return n
}

// publish gives every node its picture: the first one is MASTER.
func (l *lan) publish(names []string) {
	for _, n := range l.nodes {
		s := observed.Snapshot{Time: time.Now(), Observer: n.name, Cluster: observed.Cluster{
			Name: "web", ID: "id", Leader: names[0], Voters: names, Majority: true, Revision: uint64(len(l.history))}}
		for i, name := range names {
			other := observed.Node{Name: name, Role: observed.RoleVoter, Alive: !l.nodes[name].off, Revision: 1}
			if name == n.name {
				state := vrrp.Backup
				if i == 0 {
					state = vrrp.Master
				}
				other.Version = "1.0.0"
				other.Units = []vrrp.UnitStatus{{Name: "vi_1", State: state, Priority: vrrp.Priority(120 - i), Reason: "because", Instances: []vrrp.InstanceStatus{{
					Name: "vi_1", Interface: "eth0", Family: vrrp.IPv4, VRID: 51, State: state, AdvertInterval: time.Second,
					Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.100/24")}}}}}
			}
			s.Nodes = append(s.Nodes, other)
		}
		n.hub.Publish(s)
	}
}

// socket serves the node on a unix socket and returns a connection to it.
func (n *node) socket(t *testing.T) *grpc.ClientConn {
	t.Helper()
	path := n.serve(t)
	conn, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func (n *node) serve(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "api.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); n.server.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); <-done })
	return path
}

func (n *node) Status() cluster.Status {
	n.lan.mu.Lock()
	defer n.lan.mu.Unlock()
	return cluster.Status{State: n.lan.state, Name: n.name, ClusterName: "web", ClusterID: "id", Advertise: netip.MustParseAddrPort("192.0.2.1:7112")}
}

func (n *node) Members() []store.Member {
	n.lan.mu.Lock()
	defer n.lan.mu.Unlock()
	return n.members()
}

// members is Members while the lan is locked.
func (n *node) members() []store.Member {
	var out []store.Member
	for name := range n.lan.nodes {
		role := store.RoleVoter
		if name == n.lan.witness {
			role = store.RoleWitness
		}
		out = append(out, store.Member{Name: name, Role: role})
	}
	return out
}

func (n *node) Init(_ context.Context, o cluster.InitOptions) (store.Revision, error) {
	n.lan.mu.Lock()
	defer n.lan.mu.Unlock()
	n.lan.state = cluster.Member
	n.lan.history = []store.Revision{{Number: 1, Text: o.Text, Hash: store.HashText(o.Text), Author: o.Author, Message: o.Message}}
	return n.lan.history[0], nil
}

func (n *node) Join(ctx context.Context, o cluster.JoinOptions) error {
	o.Progress(cluster.JoinStep{Name: cluster.StepParse})
	if o.Token != "good" {
		return errors.New("token is damaged: its checksum does not fit; copy the whole line again")
	}
	o.Progress(cluster.JoinStep{Name: cluster.StepParse, Done: true})
	c := cluster.Candidate{Role: store.RoleVoter, Conn: n.Conn}
	if o.Witness {
		c.Role = store.RoleWitness
	}
	for _, m := range n.Members() {
		if m.Name != n.name {
			c.Members = append(c.Members, m)
		}
	}
	c.Revision, _ = n.lan.Latest() // there is one
	detail, err := o.Examine(ctx, c)
	o.Progress(cluster.JoinStep{Name: cluster.StepExamine, Done: true, Detail: detail, Err: err})
	return err
}

func (n *node) Leave(_ context.Context, last bool) ([]store.Member, error) {
	if len(n.lan.nodes) == 1 && !last {
		return nil, cluster.ErrLastMember
	}
	return slices.DeleteFunc(n.Members(), func(m store.Member) bool { return m.Name == n.name }), nil
}

func (n *node) Remove(_ context.Context, name string) ([]store.Member, error) {
	n.lan.mu.Lock()
	defer n.lan.mu.Unlock()
	if err := n.lan.remove; err != nil {
		return nil, err
	}
	delete(n.lan.nodes, name)
	return n.members(), nil
}

func (n *node) CreateToken(_ context.Context, o cluster.TokenOptions) (string, store.Token, []string, error) {
	return "hacl1.secret", store.Token{ID: "T1", Role: store.RoleVoter, Created: time.Now(), Expires: time.Now().Add(time.Hour), Uses: max(o.Uses, 0), CreatedBy: o.By}, []string{"192.0.2.1:7112"}, nil
}

func (n *node) Tokens(context.Context) ([]store.Token, error) {
	return []store.Token{
		{ID: "T1", Expires: time.Now().Add(time.Hour), Uses: 2, UsedBy: []string{"lb2"}},
		{ID: "used", Expires: time.Now().Add(time.Hour), Uses: 1, UsedBy: []string{"lb2"}},
		{ID: "old", Expires: time.Now().Add(-time.Hour), Uses: 1},
	}, nil
}

func (n *node) RevokeToken(context.Context, string, string) error { return nil }

func (n *node) Propose(_ context.Context, p store.Proposal) (store.Revision, error) {
	n.lan.mu.Lock()
	defer n.lan.mu.Unlock()
	if n.propose != nil {
		return store.Revision{}, n.propose
	}
	if current := uint64(len(n.lan.history)); p.Base != current {
		return store.Revision{}, &store.ConflictError{Base: p.Base, Current: current, Author: "somebody"}
	}
	rev := store.Revision{Number: p.Base + 1, Base: p.Base, Text: p.Text, Hash: store.HashText(p.Text), Author: p.Author, Message: p.Message, RequestID: p.RequestID}
	n.lan.history = append(n.lan.history, rev)
	return rev, nil
}

func (n *node) Sync(context.Context) error { return nil }

func (n *node) Trial() cluster.Trial { return cluster.Trial{} }

func (n *node) Conn(name string) (grpc.ClientConnInterface, error) {
	return n.lan.nodes[name].conn, nil
}

// Plan is that of a node with the document, on the network that all share.
func (n *node) Plan() preflight.Plan {
	return preflight.Plan{
		Node: n.name, Window: preflight.ShortWindow,
		Networks: []preflight.Network{{Interface: "eth0", Source: netip.MustParseAddr("192.0.2.9"), Instances: []string{"vi_1"}, VRIDs: []int{51}}},
		Findings: []preflight.Finding{{Severity: preflight.Warning, Check: "gate", Node: n.name, Summary: "no gate", Remedy: "build a kernel"}},
	}
}

func (n *node) PlanFor(_, text string) (preflight.Plan, error) {
	if text != document {
		return preflight.Plan{}, errors.New("this is no document")
	}
	return n.Plan(), nil
}

// Examine reports that the node named in deaf hears nobody. What the others can
// hear is who takes part in the cluster, or was named as a guest.
func (n *node) Examine(_ context.Context, plan preflight.Plan) preflight.Report {
	n.lan.mu.Lock()
	defer n.lan.mu.Unlock()
	n.lan.examined++
	r := preflight.Report{Node: n.name, At: time.Now(), Networks: plan.Networks}
	if n.lan.joins != "" {
		r.Findings = plan.Findings
	}
	for other := range n.lan.nodes {
		guest := slices.ContainsFunc(plan.Peers, func(p preflight.Peer) bool { return p.Name == other })
		deaf := n.name == n.lan.deaf && n.lan.examined <= n.lan.deafFor
		if other == n.name || deaf || plan.Session == 0 || other == n.lan.joins && !guest {
			continue
		}
		for _, kind := range []preflight.Kind{preflight.Multicast, preflight.Unicast} {
			r.Heard = append(r.Heard, preflight.Heard{From: other, Interface: "eth0", Kind: kind})
		}
	}
	return r
}

func (n *node) Prepare(context.Context, string, string) config.Findings { return n.refuse }

func (n *node) Await(context.Context, uint64) (uint64, error) {
	n.lan.mu.Lock()
	defer n.lan.mu.Unlock()
	if n.stuck != nil {
		return 1, n.stuck
	}
	return uint64(len(n.lan.history)), nil
}

// RequestHandover moves the unit at once.
func (n *node) RequestHandover(_, to string) {
	var names []string
	for name := range n.lan.nodes {
		if name != to {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	n.lan.publish(append([]string{to}, names...))
}

func (l *lan) Latest() (store.Revision, error) { return l.Get(uint64(len(l.history))) }

func (l *lan) Get(number uint64) (store.Revision, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if number == 0 || number > uint64(len(l.history)) {
		return store.Revision{}, store.ErrNoRevision
	}
	return l.history[number-1], nil
}

func (l *lan) History(limit int) []store.Revision {
	out := slices.Clone(l.history)
	slices.Reverse(out)
	return out[:min(limit, len(out))]
}

func (l *lan) ByRequest(id string) (store.Revision, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.history, func(r store.Revision) bool { return r.RequestID == id })
	if i < 0 {
		return store.Revision{}, false
	}
	return l.history[i], true
}

// needRoot fails a test that another account cannot run.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("run the tests as root: they speak for other accounts")
	}
}
