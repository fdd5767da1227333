package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// longestDisarm is what the daemon accepts at most.
const longestDisarm = 24 * time.Hour

func (a *app) disarmCommand() *cobra.Command {
	var lasts time.Duration
	req := &pb.DisarmRequest{}
	cmd := &cobra.Command{
		Use:   "disarm --for DURATION [--reason TEXT]",
		Short: "Freeze fencing and quick take-over while you work on the network",
		Long: `Disarm freezes, on every node, what hacluster does by itself on proof that a
holder is gone: fence agents and quick take-over. Virtual addresses still fail
over by VRRP's own timers, hand-overs work, and leases go on.

It always ends: after the time given, 24h at most, or with haclusterctl arm. An
alert stands meanwhile. A new disarm replaces the one that stands.`,
		Example: example("haclusterctl disarm --for 30m --reason 'switch sw1 is replaced'", "haclusterctl arm"),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("for") {
				return usageError("say for how long: haclusterctl disarm --for 30m --reason 'why'; at most 24h")
			}
			if lasts <= 0 || lasts > longestDisarm {
				return usageError("--for %v is out of range; use for example 30m, at most 24h", lasts)
			}
			req.For, req.OnBehalf = durationpb.New(lasts), a.env("SUDO_USER")
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				d, err := pb.NewDisarmServiceClient(conn).Disarm(ctx, req)
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(d)
				}
				a.printf("Disarmed until %s: fencing and quick take-over are frozen on every node.\n", a.when(d.GetUntil()))
				a.printf("haclusterctl arm ends it before.\n")
				return nil
			})
		},
	}
	a.readFlags(cmd)
	cmd.Flags().DurationVar(&lasts, "for", 0, "how long, at most 24h")
	cmd.Flags().StringVar(&req.Reason, "reason", "", "why, for those who see the alert")
	return cmd
}

func (a *app) armCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "arm",
		Short:   "End a disarm before its time",
		Example: example("haclusterctl arm"),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := pb.NewDisarmServiceClient(conn).Arm(ctx, &pb.ArmRequest{OnBehalf: a.env("SUDO_USER")})
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(resp)
				}
				a.printf("Armed: fencing and quick take-over work again.\n")
				return nil
			})
		},
	}
	a.readFlags(cmd)
	return cmd
}
