package api

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func TestDisarmIsReplicatedAndArmEndsIt(t *testing.T) {
	needRoot(t)
	l := newLAN(t, "lb1", "lb2")
	client := pb.NewDisarmServiceClient(l.nodes["lb2"].socket(t))

	got, err := client.Disarm(t.Context(), &pb.DisarmRequest{For: durationpb.New(30 * time.Minute), Reason: "switch sw1", OnBehalf: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(got.GetUntil().AsTime()); got.GetBy() != "root (sudo: alice)" || left < 29*time.Minute || left > 30*time.Minute {
		t.Errorf("disarmed by %q for %v, want root (sudo: alice) for 30m", got.GetBy(), left)
	}
	order, _, ok := l.disarm.Standing()
	if !ok || order.Reason != "switch sw1" || order.For != 30*time.Minute {
		t.Errorf("order = %+v standing %v, want it to stand", order, ok)
	}

	if _, err := client.Arm(t.Context(), &pb.ArmRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := l.disarm.Standing(); ok {
		t.Error("the order stands after arm")
	}
	_, err = client.Arm(t.Context(), &pb.ArmRequest{})
	wantReason(t, err, pb.ErrorReason_ERROR_REASON_REFUSED)
}

func TestDisarmHasABoundedTime(t *testing.T) {
	needRoot(t)
	client := pb.NewDisarmServiceClient(newLAN(t, "lb1").nodes["lb1"].socket(t))
	for _, d := range []time.Duration{0, -time.Second, 24*time.Hour + 1} {
		_, err := client.Disarm(t.Context(), &pb.DisarmRequest{For: durationpb.New(d)})
		wantReason(t, err, pb.ErrorReason_ERROR_REASON_REFUSED)
	}
}
