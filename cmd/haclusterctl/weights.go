package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// aboutNames explains the arguments of commands about weights.
const aboutNames = `
SERVICE is a name or an address as in haclusterctl services ("tcp 192.0.2.100:80" in
quotes, or 192.0.2.100:80), or all: every service with such a server. SERVER is a
real server's address, or ADDRESS:PORT.`

func (a *app) drainCommand() *cobra.Command {
	req := &pb.GiveWeightRequest{}
	var noWait bool
	cmd := &cobra.Command{
		Use:   "drain SERVICE SERVER…",
		Short: "Send real servers no new connections, and wait until the last one ends",
		Long: `Drain gives real servers the weight 0 on every node, until haclusterctl services
restore: they keep the connections that they have. It waits for these to end, for as
long as --timeout says; afterwards the weight stays 0 all the same. Of UDP and
firewall marks it waits until the kernel has forgotten them.

A client that is remembered (persistence) still comes to its server, unless the
directors have net.ipv4.vs.expire_quiescent_template set to 1.
` + aboutNames,
		Example: example("haclusterctl services drain 192.0.2.100:80 10.0.0.1 --reason 'kernel update'", "haclusterctl services drain all 10.0.0.1 --timeout 10m"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usageError("usage: %s", cmd.UseLine())
			}
			req.Service, req.Servers, req.OnBehalf = args[0], args[1:], a.env("SUDO_USER")
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				given, err := pb.NewWeightsServiceClient(conn).Give(ctx, req)
				if err != nil {
					return err
				}
				if noWait {
					return a.printWeights(given, "Weight 0")
				}
				if err := a.waitDrained(ctx, conn, given); err != nil {
					return err
				}
				return a.printWeights(given, "Drained")
			})
		},
		ValidArgsFunction: a.completeServers,
	}
	a.readFlags(cmd)
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait for connections to end")
	weightFlags(cmd, req)
	return cmd
}

func (a *app) weightCommand() *cobra.Command {
	req := &pb.GiveWeightRequest{}
	cmd := &cobra.Command{
		Use:   "weight SERVICE SERVER… WEIGHT",
		Short: "Give real servers another weight than the configuration, for a while",
		Long: `Weight gives real servers a weight on every node, until haclusterctl services
restore; the configuration stays as it is, and checks still take a server out.
` + aboutNames,
		Example: example("haclusterctl services weight 192.0.2.100:80 10.0.0.1 10.0.0.2 5", "haclusterctl services restore 192.0.2.100:80"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) < 3 {
				return usageError("usage: %s", cmd.UseLine())
			}
			last := len(args) - 1
			weight, err := strconv.ParseUint(args[last], 10, 16)
			if err != nil {
				return usageError("weight %q is no number from 0 to 65535", args[last])
			}
			req.Service, req.Servers, req.Weight, req.OnBehalf = args[0], args[1:last], uint32(weight), a.env("SUDO_USER")
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				given, err := pb.NewWeightsServiceClient(conn).Give(ctx, req)
				if err != nil {
					return err
				}
				return a.printWeights(given, fmt.Sprintf("Weight %d", weight))
			})
		},
		ValidArgsFunction: a.completeServers,
	}
	a.readFlags(cmd)
	weightFlags(cmd, req)
	return cmd
}

func weightFlags(cmd *cobra.Command, req *pb.GiveWeightRequest) {
	cmd.Flags().StringVar(&req.Reason, "reason", "", "why, for those who see it")
	cmd.Flags().BoolVar(&req.Force, "force", false, "even if a service loses its quorum by that")
}

func (a *app) restoreWeightsCommand() *cobra.Command {
	req := &pb.RestoreWeightRequest{}
	cmd := &cobra.Command{
		Use:   "restore SERVICE [SERVER…]",
		Short: "End what drain and weight began",
		Long: `Restore gives real servers the weight back that the configuration and the checks
say, on every node. Without a server it does so for all of the service.
` + aboutNames,
		Example: example("haclusterctl services restore 192.0.2.100:80 10.0.0.1", "haclusterctl services restore all"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 {
				return usageError("usage: %s", cmd.UseLine())
			}
			req.Service, req.Servers, req.OnBehalf = args[0], args[1:], a.env("SUDO_USER")
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				ended, err := pb.NewWeightsServiceClient(conn).Restore(ctx, req)
				if err != nil {
					return err
				}
				return a.printWeights(ended, "Restored")
			})
		},
		ValidArgsFunction: a.completeServers,
	}
	a.readFlags(cmd)
	return cmd
}

// printWeights tells what was done to which servers.
func (a *app) printWeights(w *pb.Weights, done string) error {
	if a.json() {
		return a.printJSON(w)
	}
	for _, o := range w.GetWeights() {
		a.printf("%s: %s of %s\n", done, o.GetServer(), o.GetService())
	}
	return nil
}

// drainPoll is the time between two looks at connections.
const drainPoll = time.Second

// waitDrained waits until the servers have weight 0 on every node that answers, and no
// connection left, and tells each change. When the time is over it says what is left.
func (a *app) waitDrained(ctx context.Context, conn *grpc.ClientConn, given *pb.Weights) error {
	req := &pb.ListServicesRequest{Name: given.GetWeights()[0].GetService()}
	if slices.ContainsFunc(given.GetWeights(), func(o *pb.WeightByHand) bool { return o.GetService() != req.GetName() }) {
		req.Name = "" // of several services
	}
	told := ""
	for {
		all, err := pb.NewServicesServiceClient(conn).List(ctx, req)
		if err == nil {
			left := leftOver(all, given)
			if len(left) == 0 {
				return nil
			}
			if now := strings.Join(left, "; "); now != told {
				fmt.Fprintln(a.err, now)
				told = now
			}
		}
		select {
		case <-time.After(drainPoll):
		case <-ctx.Done():
		}
		if context.Cause(ctx) == context.Canceled {
			return &exitError{code: exitNotEvery, text: "interrupted; the weight stays 0", remedy: "haclusterctl services restore gives the former one back"}
		}
		if ctx.Err() != nil {
			if told == "" {
				told = "it is not known what is left"
			}
			return &exitError{
				code: exitNotEvery, text: fmt.Sprintf("%s, after %s; the weight stays 0", told, a.timeout),
				remedy: "haclusterctl services connections shows them; drain again waits on",
			}
		}
		if err != nil {
			return err
		}
	}
}

// leftOver is what keeps servers from being drained, for people.
func leftOver(all *pb.Services, given *pb.Weights) (left []string) {
	for _, s := range all.GetServices() {
		for _, r := range s.GetServers() {
			if !slices.ContainsFunc(given.GetWeights(), func(o *pb.WeightByHand) bool {
				return o.GetService() == s.GetName() && o.GetServer() == r.GetAddress()
			}) {
				continue
			}
			for _, v := range r.GetViews() {
				if v.GetWeight() != 0 {
					left = append(left, fmt.Sprintf("%s of %s has weight %d on %s yet", r.GetAddress(), s.GetName(), v.GetWeight(), v.GetNode()))
				}
			}
			active, inactive := connections(r)
			if active > 0 || inactive > 0 && !tellsEnds(s) {
				left = append(left, fmt.Sprintf("%s of %s has %d active and %d inactive connections", r.GetAddress(), s.GetName(), active, inactive))
			}
		}
	}
	return left
}

// tellsEnds reports whether a connection of a service that is not active any more has
// ended: of UDP none is active ever, and of marks it is not known what they are.
func tellsEnds(s *pb.Service) bool {
	return !slices.ContainsFunc(s.GetKeys(), func(k string) bool { return !strings.HasPrefix(k, "tcp ") && !strings.HasPrefix(k, "sctp ") })
}

// completeServers completes a service, and then its real servers.
func (a *app) completeServers(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.completions(func(ctx context.Context, conn *grpc.ClientConn) (words []string) {
		req := &pb.ListServicesRequest{Local: true}
		if len(args) > 0 && args[0] != "all" {
			req.Name = args[0]
		}
		all, err := pb.NewServicesServiceClient(conn).List(ctx, req)
		if err != nil {
			return nil
		}
		if len(args) == 0 {
			words = append(words, "all\tevery service with such a server")
		}
		for _, s := range all.GetServices() {
			if len(args) == 0 {
				words = append(words, s.GetName())
				continue
			}
			for _, r := range s.GetServers() {
				if !slices.Contains(words, r.GetAddress()) && !slices.Contains(args, r.GetAddress()) {
					words = append(words, r.GetAddress())
				}
			}
		}
		return words
	})
}
