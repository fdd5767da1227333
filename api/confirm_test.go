package api

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func TestOneRevisionWaitsToBeConfirmedAtATime(t *testing.T) {
	l := newLAN(t, "lb1")
	client := pb.NewConfigServiceClient(l.nodes["lb1"].socket(t))
	apply := func(text string, within time.Duration) error {
		t.Helper()
		stream, err := client.Apply(t.Context(), &pb.ApplyConfigRequest{Text: text, Force: true, ConfirmWithin: durationpb.New(within)})
		if err == nil {
			_, _, err = drain(stream)
		}
		return err
	}
	waits := func(want uint64) {
		t.Helper()
		resp, err := client.History(t.Context(), &pb.ConfigHistoryRequest{})
		if got := resp.GetUnconfirmed().GetRevision(); err != nil || got != want {
			t.Errorf("revision %d waits to be confirmed (%v), want %d", got, err, want)
		}
	}
	wantReason(t, apply(changed, 25*time.Hour), pb.ErrorReason_ERROR_REASON_REFUSED)
	waits(0)
	if _, err := client.Confirm(t.Context(), &pb.ConfirmConfigRequest{}); err == nil {
		t.Error("nothing is confirmed")
	}
	if err := apply(changed, time.Minute); err != nil {
		t.Fatal(err)
	}
	waits(2)
	wantReason(t, apply(document, 0), pb.ErrorReason_ERROR_REASON_REFUSED)
	_, err := client.Confirm(t.Context(), &pb.ConfirmConfigRequest{Revision: 1})
	wantReason(t, err, pb.ErrorReason_ERROR_REASON_REFUSED)
	if resp, err := client.Confirm(t.Context(), &pb.ConfirmConfigRequest{Revision: 2}); err != nil || resp.GetRevision() != 2 {
		t.Errorf("Confirm = %v, %v; want revision 2", resp, err)
	}
	waits(0)
	if err := apply(document, time.Minute); err != nil {
		t.Fatal(err)
	}

	// Taken back at once, it waits no more; nobody here takes its wish out.
	stream, err := client.Rollback(t.Context(), &pb.RollbackConfigRequest{Revision: 2})
	if err == nil {
		_, _, err = drain(stream)
	}
	if err != nil {
		t.Fatal(err)
	}
	waits(0)
}

// A wish whose revision is not committed would refuse the next one.
func TestAWishGoesWithItsRevision(t *testing.T) {
	l := newLAN(t, "lb1")
	n := l.nodes["lb1"]
	client := pb.NewConfigServiceClient(n.socket(t))
	n.propose = errors.New("the disk is full")
	stream, err := client.Apply(t.Context(), &pb.ApplyConfigRequest{Text: changed, Force: true, ConfirmWithin: durationpb.New(time.Minute)})
	if err == nil {
		_, _, err = drain(stream)
	}
	if _, standing := l.confirm.Standing(); err == nil || standing {
		t.Errorf("apply = %v, and a wish stands: %v", err, standing)
	}
}
