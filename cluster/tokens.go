package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/hacluster/hacluster/cluster/pki"
	"github.com/hacluster/hacluster/cluster/store"
)

const (
	defaultTokenTTL = time.Hour
	minTokenTTL     = time.Minute
	maxTokenTTL     = 30 * 24 * time.Hour
)

// CreateToken makes a token. Its text is returned this once and not kept; addrs are
// the members to join at, this node first.
func (c *Cluster) CreateToken(ctx context.Context, o TokenOptions) (text string, token store.Token, addrs []string, err error) {
	s, err := c.current()
	if err != nil {
		return "", store.Token{}, nil, err
	}
	if o.Role == "" {
		o.Role = store.RoleVoter
	}
	role, err := pki.ParseRole(string(o.Role))
	if err != nil {
		return "", store.Token{}, nil, err
	}
	if o.TTL == 0 {
		o.TTL = defaultTokenTTL
	}
	if o.TTL < minTokenTTL || o.TTL > maxTokenTTL {
		return "", store.Token{}, nil, fmt.Errorf("token life of %v is out of range; use %v to %v", o.TTL, minTokenTTL, maxTokenTTL)
	}
	uses := o.Uses
	switch {
	case uses == 0:
		uses = 1
	case uses == AnyUses:
		uses = 0
	case uses < 0:
		return "", store.Token{}, nil, fmt.Errorf("token with %d uses; use 1 or more", uses)
	}
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()

	addrs = s.hints()
	secret, err := pki.NewToken(role, s.identity.Load().Pin(), addrs)
	if err != nil {
		return "", store.Token{}, nil, err
	}
	hash := secret.Hash()
	now := time.Now().UTC()
	token = store.Token{
		ID: secret.ID, Role: o.Role, Created: now, CreatedBy: o.By, Expires: now.Add(o.TTL), Uses: uses,
	}
	stored := token
	stored.Hash = hash[:]
	if err := s.store.CreateToken(ctx, stored); err != nil {
		return "", store.Token{}, nil, s.explain("create a token", err)
	}
	return secret.Text(), token, addrs, nil
}

// hints returns up to three members that a machine can join at, this node first.
func (s *session) hints() []string {
	addrs := []string{s.node.Advertise.String()}
	for _, m := range s.store.Members().List() {
		if m.ID != s.node.ID && m.Joined && len(addrs) < 3 {
			addrs = append(addrs, m.Addr.String())
		}
	}
	return addrs
}

// Tokens lists the tokens that the cluster remembers, oldest first, used and
// expired ones included.
func (c *Cluster) Tokens(ctx context.Context) ([]store.Token, error) {
	s, err := c.current()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	if err := s.store.Sync(ctx); err != nil {
		return nil, s.explain("list tokens", err)
	}
	return s.store.Tokens().List(), nil
}

// RevokeToken makes a token useless at once.
func (c *Cluster) RevokeToken(ctx context.Context, id, by string) error {
	s, err := c.current()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	return s.explain("revoke a token", s.store.RevokeToken(ctx, id, by, time.Now()))
}
