package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// retryPause is how long to wait before asking again when nobody leads.
const retryPause = 20 * time.Millisecond

// Apply has the command carried out, wherever the leader is, and returns its
// result when it is part of this node's state too. It goes on trying until ctx is
// done; the request id makes that safe.
//
// Errors: *Refusal (an answer: nothing changed), *UnknownCommandError, ErrNoLeader
// (nothing changed), *UnknownOutcomeError (handed over, no answer).
func (s *Store) Apply(ctx context.Context, cmd Command) ([]byte, error) {
	if cmd.RequestID == "" {
		cmd.RequestID = NewRequestID()
	}
	if err := errors.Join(s.Err(), s.fsm.check(cmd)); err != nil {
		return nil, err
	}
	encoded, err := cmd.Encode()
	if err != nil {
		return nil, err
	}
	handedOver := false
	for {
		d := s.disk()
		answer, err := s.applyOnce(ctx, encoded)
		switch {
		case err == nil:
			return s.accept(ctx, cmd, answer)
		case errors.Is(err, ErrNotLeader), errors.Is(err, ErrNoLeader):
		case s.fatal(err):
			return nil, err
		default:
			handedOver = true
		}
		select {
		case <-time.After(retryPause):
			continue
		case <-s.closing:
			err = ErrClosed
		case <-d.failed:
			err = d.err
		case <-ctx.Done():
		}
		if handedOver {
			return nil, &UnknownOutcomeError{RequestID: cmd.RequestID, Err: err}
		}
		return nil, fmt.Errorf("%s: %w", cmd, err)
	}
}

// fatal says whether trying again is useless.
func (s *Store) fatal(err error) bool {
	_, unknown := errors.AsType[*UnknownCommandError](err)
	return unknown
}

// accept waits until this node's state has what the leader answered, so that the
// caller can read what it wrote.
func (s *Store) accept(ctx context.Context, cmd Command, answer reply) ([]byte, error) {
	if err := s.wait(ctx, answer.Index); err != nil {
		return nil, &UnknownOutcomeError{RequestID: cmd.RequestID, Err: fmt.Errorf("committed, but not yet here: %w", err)}
	}
	if answer.Refusal != nil {
		return nil, answer.Refusal
	}
	return answer.Data, nil
}

// applyOnce gives the command to the leader as known now.
func (s *Store) applyOnce(ctx context.Context, encoded []byte) (reply, error) {
	leader, ok := s.Leader()
	switch {
	case !ok:
		return reply{}, ErrNoLeader
	case leader.ID == s.self.ID:
		return s.applyHere(ctx, encoded)
	case s.forward == nil:
		return reply{}, ErrNotLeader
	}
	data, err := s.forward.Apply(ctx, leader, encoded)
	if err != nil {
		return reply{}, err
	}
	var answer reply
	if err := json.Unmarshal(data, &answer); err != nil {
		return reply{}, fmt.Errorf("answer of leader %s: %w", leader.ID, err)
	}
	return answer, nil
}

// ApplyEncoded is the leader's end of Forwarder.Apply. It returns ErrNotLeader
// when this node does not lead; any other error leaves the outcome unknown.
func (s *Store) ApplyEncoded(ctx context.Context, encoded []byte) ([]byte, error) {
	cmd, err := DecodeCommand(encoded)
	if err != nil {
		return nil, err
	}
	if err := s.fsm.check(cmd); err != nil {
		return nil, err
	}
	answer, err := s.applyHere(ctx, encoded)
	if err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}

// applyHere writes the command to the log as leader.
func (s *Store) applyHere(ctx context.Context, encoded []byte) (reply, error) {
	future := s.raft().Apply(encoded, time.Second)
	if err := waitFuture(ctx, future); err != nil {
		return reply{}, notLeader(err)
	}
	// The followers know the command, but learn that it counts with the leader's next
	// message, up to 0.1 s later when there is none. A barrier is one, so that they
	// carry the command out at once. Nobody waits for it; the goroutine ends when
	// Raft has taken it, or with the time given.
	go s.raft().Barrier(100 * time.Millisecond)
	switch answer := future.Response().(type) {
	case reply:
		return answer, nil
	case error:
		return reply{}, answer
	default:
		panic(fmt.Sprintf("store: unexpected answer %T of the state machine", answer))
	}
}

// notLeader translates the errors by which Raft says that a command was not even
// written. A leadership that was lost on the way is not among them: the command
// may survive it.
func notLeader(err error) error {
	if errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrEnqueueTimeout) ||
		errors.Is(err, raft.ErrLeadershipTransferInProgress) {
		return fmt.Errorf("%w: %w", ErrNotLeader, err)
	}
	return err
}

// waitFuture waits for one of Raft's futures, or for ctx. The goroutine that is
// left behind ends with the future, which Raft answers at the latest when this
// node stops leading.
func waitFuture(ctx context.Context, future raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- future.Error() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Propose commits a revision and returns it without its text. A *ConflictError
// says that the base is not current any more; see Apply for the other errors.
func (s *Store) Propose(ctx context.Context, p Proposal) (Revision, error) {
	cmd, err := proposeCommand(p, time.Now())
	if err != nil {
		return Revision{}, err
	}
	data, err := s.Apply(ctx, cmd)
	if refusal, ok := errors.AsType[*Refusal](err); ok && refusal.Code == CodeConflict {
		conflict := &ConflictError{}
		if json.Unmarshal(refusal.Detail, conflict) == nil {
			return Revision{}, conflict
		}
	}
	if err != nil {
		return Revision{}, err
	}
	var rev Revision
	if err := json.Unmarshal(data, &rev); err != nil {
		return Revision{}, fmt.Errorf("answer to the proposal: %w", err)
	}
	return rev, nil
}

// apply sends a JSON command and ignores its result.
func (s *Store) apply(ctx context.Context, machine, name string, body any) error {
	cmd, err := newCommand(machine, name, 1, "", body)
	if err != nil {
		return err
	}
	_, err = s.Apply(ctx, cmd)
	return err
}

// PutMember adds a member, or changes the one with the same ID.
func (s *Store) PutMember(ctx context.Context, m Member) error {
	if _, ok := s.members.ByID(m.ID); ok {
		return s.apply(ctx, "members", "update", m)
	}
	return s.apply(ctx, "members", "add", m)
}

// DropMember takes a member off the list. Dropping what is gone succeeds.
func (s *Store) DropMember(ctx context.Context, id string, last bool) error {
	return s.apply(ctx, "members", "remove", removeV1{ID: id, Last: last})
}

// CreateToken adds a token.
func (s *Store) CreateToken(ctx context.Context, t Token) error {
	return s.apply(ctx, "tokens", "create", t)
}

// RedeemToken uses a token for a node. A *Refusal with a CodeToken says why not;
// its detail is the Token.
func (s *Store) RedeemToken(ctx context.Context, id string, hash []byte, node string, now time.Time) (Token, error) {
	cmd, err := newCommand("tokens", "redeem", 1, "", redeemV1{ID: id, Hash: hash, Node: node, Now: now.UTC()})
	if err != nil {
		return Token{}, err
	}
	data, err := s.Apply(ctx, cmd)
	if err != nil {
		return Token{}, err
	}
	var token Token
	if err := json.Unmarshal(data, &token); err != nil {
		return Token{}, fmt.Errorf("answer to the token: %w", err)
	}
	return token, nil
}

// RefundToken takes back a RedeemToken whose join came to nothing.
func (s *Store) RefundToken(ctx context.Context, id, node string) error {
	return s.apply(ctx, "tokens", "refund", redeemV1{ID: id, Node: node})
}

// RevokeToken makes a token useless.
func (s *Store) RevokeToken(ctx context.Context, id, by string, now time.Time) error {
	return s.apply(ctx, "tokens", "revoke", revokeV1{ID: id, By: by, Now: now.UTC()})
}

// PutSecret replaces a secret of the given version; 0 when there is none yet.
func (s *Store) PutSecret(ctx context.Context, name string, base uint64, value []byte) error {
	return s.apply(ctx, "secrets", "put", putV1{Name: name, Base: base, Value: value})
}
