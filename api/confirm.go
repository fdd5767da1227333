package api

import (
	"context"
	"fmt"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/internal/kclock"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/observed/confirm"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// How long an edit waits for the wish of the one before to be taken out, and how often
// it looks.
const (
	wishEnds = 3 * time.Second
	wishLook = 50 * time.Millisecond
)

// unconfirmed is the revision that waits to be confirmed; nil when none does.
func (s *Server) unconfirmed() *observed.Unconfirmed {
	return confirm.Waiting(s.o.Confirm(), s.o.Revisions())
}

// nothingWaits refuses an edit while a revision waits to be confirmed: to confirm one of
// the two, or to take it back, would do the same with the other.
func (s *Server) nothingWaits() error {
	u := s.unconfirmed()
	if u == nil {
		return nil
	}
	r := refused("revision %d of %s waits to be confirmed for %v more: nothing was changed", u.Revision, u.By, left(u.Until))
	r.remedy = fmt.Sprintf("haclusterctl config confirm keeps it, haclusterctl config rollback %d takes it back", u.Base)
	return r
}

func left(until time.Time) time.Duration { return max(time.Until(until).Round(time.Second), 0) }

// wish has a revision taken back unless it is confirmed, before it is made.
func (s *Server) wish(ctx context.Context, p proposal) error {
	for deadline := time.Now().Add(wishEnds); ; {
		// One whose revision is not the present one is about to be taken out.
		if _, standing := s.o.Confirm().Standing(); !standing || time.Now().After(deadline) || !kclock.Sleep(ctx, wishLook) {
			break
		}
	}
	cmd, err := confirm.Want(confirm.Wish{ID: p.RequestID, Base: p.Base, For: p.confirmWithin, By: p.Author, At: time.Now().UTC()})
	if err != nil {
		return err
	}
	_, err = s.o.Apply(ctx, "ask for a confirmation", cmd)
	return err
}

// unwish takes a wish out whose revision was not made. Where that fails, it takes itself
// out in the end.
func (s *Server) unwish(ctx context.Context, id string) {
	cmd, err := confirm.Drop(id, s.o.Node)
	if err == nil {
		_, err = s.o.Apply(ctx, "ask for no confirmation", cmd)
	}
	if err != nil {
		s.o.Logger.Debug("wish of a revision that was not made stands", "err", err)
	}
}

// Confirm implements pb.ConfigServiceServer.
func (c configService) Confirm(ctx context.Context, req *pb.ConfirmConfigRequest) (*pb.ConfirmConfigResponse, error) {
	if err := c.s.member(); err != nil {
		return nil, err
	}
	if err := c.s.sync(ctx); err != nil {
		return nil, err
	}
	standing, _ := c.s.o.Confirm().Standing()
	u := c.s.unconfirmed()
	switch {
	case u == nil:
		return nil, refused("no revision waits to be confirmed")
	case req.GetRevision() != 0 && req.GetRevision() != u.Revision:
		return nil, refused("revision %d does not wait to be confirmed; revision %d of %s does", req.GetRevision(), u.Revision, u.By)
	}
	cmd, err := confirm.Keep(standing.ID, author(ctx, req.GetOnBehalf()))
	if err != nil {
		return nil, err
	}
	cmd.RequestID = store.NewRequestID()
	if _, err := c.s.o.Apply(ctx, "confirm the revision", cmd); err != nil {
		return nil, err
	}
	return &pb.ConfirmConfigResponse{Revision: u.Revision}, nil
}

func unconfirmedToProto(u *observed.Unconfirmed) *pb.Unconfirmed {
	if u == nil {
		return nil
	}
	return &pb.Unconfirmed{Revision: u.Revision, Base: u.Base, By: u.By, Until: timeToProto(u.Until)}
}
