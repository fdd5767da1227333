package cluster

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hacluster/hacluster/cluster/pki"
	"github.com/hacluster/hacluster/cluster/store"
)

// gossipKeySize selects AES-256 for the gossip.
const gossipKeySize = 32

// Init makes a cluster of this one node, with a first revision, which it returns
// without its text. When it fails, the node is in no cluster, as before.
func (c *Cluster) Init(ctx context.Context, o InitOptions) (store.Revision, error) {
	c.operating.Lock()
	defer c.operating.Unlock()
	if c.Status().State != Waiting {
		return store.Revision{}, ErrAlreadyMember
	}
	if err := pki.CheckNodeName(o.ClusterName); err != nil {
		return store.Revision{}, fmt.Errorf("cluster name: %w", err)
	}
	advertise, err := c.o.advertise(o.Advertise)
	if err != nil {
		return store.Revision{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	node := nodeFile{
		Program: c.o.Version, Name: c.o.Name, ID: pki.NewNodeID(c.o.Name),
		ClusterID: pki.NewClusterID(), ClusterName: o.ClusterName,
		Role: store.RoleVoter, Advertise: advertise,
	}
	rev, err := c.initAs(ctx, node, o)
	if err != nil {
		return store.Revision{}, fmt.Errorf("init cluster %s: %w", o.ClusterName, err)
	}
	c.o.Logger.Info("cluster created", "cluster", o.ClusterName, "id", node.ClusterID, "node", node.Name)
	return rev, nil
}

// initAs makes the cluster for a node that has been given its names. What it leaves
// behind on failure is cleared.
func (c *Cluster) initAs(ctx context.Context, node nodeFile, o InitOptions) (rev store.Revision, err error) {
	now := time.Now()
	ca, err := pki.NewCA(node.ClusterID, node.ClusterName, now)
	if err != nil {
		return rev, err
	}
	caKey, err := ca.KeyPEM()
	if err != nil {
		return rev, err
	}
	key, err := pki.NewKey()
	if err != nil {
		return rev, err
	}
	csr, err := pki.NewCSR(key, node.Name)
	if err != nil {
		return rev, err
	}
	cert, err := ca.Sign(csr, node.Name, now)
	if err != nil {
		return rev, err
	}
	keyID, err := pki.KeyIDOfRequest(csr)
	if err != nil {
		return rev, err
	}
	gossipKey := make([]byte, gossipKeySize)
	rand.Read(gossipKey) // never fails: see crypto/rand
	gossipKeys, err := json.Marshal([][]byte{gossipKey})
	if err != nil {
		return rev, err
	}

	var s *session
	defer func() {
		if err != nil {
			if s != nil {
				s.stop(false)
			}
			err = errors.Join(err, c.dir.clear())
		}
	}()
	if err := c.dir.clear(); err != nil {
		return rev, err
	}
	if err := pki.Save(c.dir.pki(), key, cert, ca.CertPEM()); err != nil {
		return rev, err
	}
	s, err = startSession(c.o, c.dir, c.port, node)
	if err != nil {
		return rev, err
	}
	if err := s.store.Bootstrap(ctx); err != nil {
		return rev, err
	}
	for name, value := range map[string][]byte{secretCACert: ca.CertPEM(), secretCAKey: caKey, secretGossipKeys: gossipKeys} {
		if err := s.store.PutSecret(ctx, name, 0, value); err != nil {
			return rev, err
		}
	}
	gossip, heartbeats := c.o.gossipAddrs(node.Advertise)
	err = s.store.PutMember(ctx, store.Member{
		ID: node.ID, Name: node.Name, Addr: node.Advertise, GossipAddr: gossip, HeartbeatAddrs: heartbeats,
		Role: node.Role, KeyID: keyID[:], Version: c.o.Version, Added: now.UTC(), Joined: true,
	})
	if err != nil {
		return rev, err
	}
	rev, err = s.store.Propose(ctx, store.Proposal{Text: o.Text, Author: o.Author, Message: o.Message, RequestID: o.RequestID})
	if err != nil {
		return rev, err
	}
	if err := c.dir.save(node); err != nil {
		return rev, err
	}
	c.setSession(s, Member)
	return rev, nil
}
