package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc"

	"github.com/hacluster/hacluster/cluster/pki"
	"github.com/hacluster/hacluster/cluster/store"
	haclusterv1 "github.com/hacluster/hacluster/proto/hacluster/v1"
)

const (
	joinTime    = 60 * time.Second
	catchUpTime = 30 * time.Second
	// silence is how long a joining node waits for the first word of the leader
	// before it says that it cannot be reached.
	silence = 10 * time.Second
)

// Join makes this node a member. Any failure leaves the host as it was, and takes
// the node out of the cluster again as far as it was let in.
func (c *Cluster) Join(ctx context.Context, o JoinOptions) error {
	c.operating.Lock()
	defer c.operating.Unlock()
	if c.Status().State != Waiting {
		return ErrAlreadyMember
	}
	advertise, err := c.o.advertise(o.Advertise)
	if err != nil {
		return err
	}
	limit := o.Timeout
	if limit <= 0 {
		limit = joinTime
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	j := &joiner{cluster: c, progress: o.Progress, examine: o.Examine}
	if err := j.parse(o); err != nil {
		return err
	}
	c.setSession(nil, Joining)
	j.node = nodeFile{Program: c.o.Version, Name: c.o.Name, Advertise: advertise}
	if err := j.run(ctx); err != nil {
		err = errors.Join(err, j.undo())
		c.setSession(nil, Waiting)
		return err
	}
	j.session.confirm()
	c.setSession(j.session, Member)
	c.o.Logger.Info("joined cluster", "cluster", j.node.ClusterName, "id", j.node.ClusterID, "node", j.node.Name)
	return nil
}

// joiner is one join under way.
type joiner struct {
	cluster  *Cluster
	progress func(JoinStep)
	examine  func(context.Context, Candidate) (string, error)

	token   pki.Token
	witness bool
	addrs   []string

	reached string           // the member that answered
	conn    *grpc.ClientConn // to it
	key     []byte
	answer  *haclusterv1.AdmitResponse
	node    nodeFile
	session *session
}

// step reports the beginning and end of one step.
func (j *joiner) step(name string, do func() (detail string, err error)) error {
	report := j.progress
	if report == nil {
		report = func(JoinStep) {}
	}
	report(JoinStep{Name: name})
	detail, err := do()
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	report(JoinStep{Name: name, Done: true, Err: err, Detail: detail})
	return err
}

// parse checks what was typed, before anything is sent.
func (j *joiner) parse(o JoinOptions) error {
	return j.step(StepParse, func() (string, error) {
		token, err := pki.ParseToken(o.Token)
		if err != nil {
			return "", err
		}
		if o.Witness && token.Role == pki.NonVoter {
			return "", fmt.Errorf("%s gives no vote, and a witness votes: use one made by haclusterctl token create --role witness", token)
		}
		j.token, j.witness = token, o.Witness
		for _, addr := range slices.Concat(o.Addrs, token.Addrs) {
			if _, _, err := net.SplitHostPort(addr); err != nil {
				// An address without a port, IPv6 without brackets included.
				addr = net.JoinHostPort(addr, strconv.Itoa(DefaultPort))
			}
			if !slices.Contains(j.addrs, addr) {
				j.addrs = append(j.addrs, addr)
			}
		}
		if len(j.addrs) == 0 {
			return "", errors.New("neither the command nor the token names a member's address: give ADDRESS:PORT")
		}
		return token.String(), nil
	})
}

func (j *joiner) run(ctx context.Context) error {
	if err := j.step(StepDial, func() (_ string, err error) {
		j.reached, err = j.dial(ctx)
		return j.reached, err
	}); err != nil {
		return err
	}
	if err := j.step(StepPin, func() (string, error) {
		return j.token.Pin.String(), j.connect(ctx, j.reached)
	}); err != nil {
		return err
	}
	defer j.conn.Close()
	if err := j.step(StepAdmit, func() (string, error) { return "as " + j.role(), j.admit(ctx) }); err != nil {
		return err
	}
	if err := j.step(StepCertificate, func() (string, error) { return "", j.store() }); err != nil {
		return err
	}
	if err := j.step(StepCatchUp, func() (string, error) { return j.catchUp(ctx) }); err != nil {
		return err
	}
	if j.examine != nil {
		if err := j.step(StepExamine, func() (string, error) { return j.examined(ctx) }); err != nil {
			return err
		}
	}
	return j.step(StepPromote, func() (string, error) { return string(j.node.Role), j.promote(ctx) })
}

// dial finds an address that accepts connections.
func (j *joiner) dial(ctx context.Context) (string, error) {
	var failures []error
	for _, addr := range j.addrs {
		conn, err := (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, "tcp", addr)
		if err == nil {
			conn.Close()
			return addr, nil
		}
		failures = append(failures, err)
	}
	return "", fmt.Errorf("no member answers on tcp: is the address right, haclusterd running there, and the port open? %w", errors.Join(failures...))
}

// connect does the handshake in which the pin is checked. Nothing is sent before.
func (j *joiner) connect(ctx context.Context, addr string) error {
	config := pki.PinnedClient(j.token.Pin, protoGRPC)
	// A handshake of our own has a better error than one inside gRPC.
	probe, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	conn, err := dialTLS(probe, addr, config)
	if err != nil {
		if wrong, ok := errors.AsType[*pki.WrongClusterError](err); ok {
			return fmt.Errorf("%s: %w", addr, wrong)
		}
		return fmt.Errorf("%s does not talk as a member of a cluster does (is it one?): %w", addr, err)
	}
	conn.Close()
	j.conn, err = grpc.NewClient("passthrough:///"+addr, dialOptions(config)...)
	return err
}

// role is what this node asks to be.
func (j *joiner) role() string {
	if j.witness {
		return pki.Witness.String()
	}
	return j.token.Role.String()
}

// admit shows the token and gets a certificate.
func (j *joiner) admit(ctx context.Context) error {
	var err error
	if j.key, err = pki.NewKey(); err != nil {
		return err
	}
	csr, err := pki.NewCSR(j.key, j.node.Name)
	if err != nil {
		return err
	}
	gossip, heartbeats := j.cluster.o.gossipAddrs(j.node.Advertise)
	req := &haclusterv1.AdmitRequest{
		TokenId: j.token.ID, TokenSecret: j.token.Secret[:],
		Name: j.node.Name, Csr: csr, Address: j.node.Advertise.String(), GossipAddress: gossip.String(),
		Version: j.cluster.o.Version,
	}
	if j.witness {
		req.Role = string(store.RoleWitness)
	}
	for _, addr := range heartbeats {
		req.HeartbeatAddresses = append(req.HeartbeatAddresses, addr.String())
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	answer, err := haclusterv1.NewPeerServiceClient(j.conn).Admit(ctx, req)
	if err != nil {
		return plain(fromWire(err))
	}
	j.answer = answer
	j.node.ID = answer.GetNodeId()
	j.node.ClusterID = answer.GetClusterId()
	j.node.ClusterName = answer.GetClusterName()
	j.node.Role = store.Role(answer.GetRole())
	if j.witness && j.node.Role != store.RoleWitness {
		return fmt.Errorf("%s would make this node a %s: its version knows no --witness; use a token made with --role witness", j.reached, j.node.Role)
	}
	return nil
}

// store writes the identity and starts the state with it. The file that says that
// this node is a member is not written yet.
func (j *joiner) store() error {
	c := j.cluster
	// The answer came from a member with the pinned authority; the certificate must
	// still be ours and signed by that same authority.
	identity, err := pki.NewIdentity(j.key, j.answer.GetCertificate(), j.answer.GetAuthority())
	if err != nil {
		return err
	}
	if identity.Pin() != j.token.Pin {
		return &pki.WrongClusterError{Want: j.token.Pin.String(), Got: identity.Pin().String()}
	}
	if identity.Node() != j.node.Name {
		return fmt.Errorf("the certificate is for node %s, want %s", identity.Node(), j.node.Name)
	}
	if err := c.dir.clear(); err != nil {
		return err
	}
	if err := pki.Save(c.dir.pki(), j.key, j.answer.GetCertificate(), j.answer.GetAuthority()); err != nil {
		return err
	}
	j.session, err = startSession(c.o, c.dir, c.port, j.node)
	return err
}

// catchUp waits for the leader to bring the state.
func (j *joiner) catchUp(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, catchUpTime)
	defer cancel()
	s := j.session
	first, cancelFirst := context.WithTimeout(ctx, silence)
	defer cancelFirst()
	began := time.Now()
	if err := s.store.WaitApplied(first, 1); err != nil {
		return "", fmt.Errorf("nothing came from the leader within %v: can the members reach this node on tcp %s?",
			time.Since(began).Round(time.Second), j.node.Advertise)
	}
	if err := s.store.WaitApplied(ctx, j.answer.GetCatchUp()); err != nil {
		return "", fmt.Errorf("got to %d of %d: %w", s.store.Applied(), j.answer.GetCatchUp(), err)
	}
	return fmt.Sprintf("%d of %d", s.store.Applied(), j.answer.GetCatchUp()), nil
}

// examined has the node looked at by who knows what it would do.
func (j *joiner) examined(ctx context.Context) (string, error) {
	s := j.session
	c := Candidate{Role: j.node.Role, Conn: s.conn, Trial: Trial{s.runningMesh}}
	for _, m := range s.members() {
		if m.Joined && m.ID != j.node.ID {
			c.Members = append(c.Members, m)
		}
	}
	var err error
	if c.Revision, err = s.store.Revisions().Latest(); err != nil {
		return "", err
	}
	return j.examine(ctx, c)
}

// promote makes the node a member for good: first on its own disk, so that a crash
// between the two is made good at the next start.
func (j *joiner) promote(ctx context.Context) error {
	if err := j.cluster.dir.save(j.node); err != nil {
		return err
	}
	for {
		err := j.session.promote(ctx)
		if !errors.Is(err, errBehind) {
			return plain(err)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// undo leaves the host as it was, and the cluster as far as it can be reached.
func (j *joiner) undo() error {
	if j.session != nil {
		j.session.stop(false)
	}
	if j.answer != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := j.withdraw(ctx); err != nil {
			j.cluster.o.Logger.Warn("the cluster still lists this node; to join again under the same name replaces it",
				"node", j.node.Name, "err", err)
		}
	}
	return j.cluster.dir.clear()
}

// withdraw has the member that answered take this node out again. The node's own
// state may never have heard from a leader, so it cannot be asked.
func (j *joiner) withdraw(ctx context.Context) error {
	identity, err := pki.NewIdentity(j.key, j.answer.GetCertificate(), j.answer.GetAuthority())
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient("passthrough:///"+j.reached, dialOptions(identity.Client("", protoGRPC))...)
	if err != nil {
		return err
	}
	defer conn.Close()
	for {
		_, err := haclusterv1.NewPeerServiceClient(conn).Remove(ctx, &haclusterv1.RemoveRequest{})
		if err == nil || ctx.Err() != nil {
			return err
		}
		select { // the member may not have learnt of this node yet
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
