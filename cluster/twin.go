package cluster

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/cluster/pki"
)

// TwinError says that this node's identity is at work on another machine: this
// one was cloned from it, or its data directory comes from a backup of it.
type TwinError struct {
	Node string
	Addr netip.AddrPort // where the other one answers
	Dir  string
}

func (e *TwinError) Error() string {
	return fmt.Sprintf("another machine answers as %s at %v, and this one has a copy of its identity in %s: two members with one identity break the cluster's votes; empty that directory and join with a token and a name of its own",
		e.Node, e.Addr, e.Dir)
}

// twinTime bounds the question for a twin, whose machine may be busy. A start
// waits for it only where the address is another machine's that does not answer.
const twinTime = 3 * time.Second

// refuseTwin asks at this node's own address who is there. While the port has no
// certificate this process itself closes what connects, so whoever shows this
// node's certificate is another machine.
func refuseTwin(dir *dataDir, node nodeFile) error {
	identity, err := pki.Load(dir.pki())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), twinTime)
	defer cancel()
	dialer := &tls.Dialer{Config: identity.Client(node.Name, protoGRPC)}
	conn, err := dialer.DialContext(ctx, "tcp", node.Advertise.String())
	if err != nil {
		return nil // nobody, somebody else, or this process
	}
	conn.Close()
	return &TwinError{Node: node.Name, Addr: node.Advertise, Dir: dir.path}
}

// watchForTwins reports whoever connects with this node's own certificate: a
// member calls others, never itself.
func (s *session) watchForTwins(config *tls.Config, from net.Addr) *tls.Config {
	if s.o.Twin == nil {
		return config
	}
	check := config.VerifyConnection
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if err := check(state); err != nil || len(state.PeerCertificates) == 0 {
			return err
		}
		if name, err := pki.NodeOf(state.PeerCertificates[0]); err == nil && name == s.node.Name {
			s.o.Twin(from)
		}
		return nil
	}
	return config
}
