package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) servicesCommand() *cobra.Command {
	var exitCode, watch, stats bool
	cmd := &cobra.Command{
		Use:   "services [NAME|ADDRESS]",
		Short: "List the virtual services and their real servers, the worst first",
		Long: `Services asks every node how its load balancer stands, because each one checks
the real servers for itself. What they do not agree upon stands first: "lb02 alone
sees 10.0.0.3:80 down". Then come the services, the worst first, and below each
one its real servers. With a name, an address or ADDRESS:PORT it shows what each
node says of those.

  NO QUORUM  on a node at least the servers that are up do not suffice
  PARTIAL    the nodes do not agree which servers are up
  DEGRADED   a server is down, or a node does not answer or cannot run its services
  UNKNOWN    not all checks are made yet, or no node makes them now
  OK         quorum, and every server up

WEIGHT is what counts now; "5 of 10" is a server of which the configuration wants
10. ACTIVE and INACTIVE are connections as ipvsadm counts them, of the node that
has the most.

BY HAND is a weight given by haclusterctl services drain or weight, which counts in
place of the configured one until services restore.
REFUSED is what a kernel does not take, FOREIGN what others have put into its table,
which is left alone, and LEAVING what keeps its last connections. With --stats it
shows counters instead, of all nodes together, and with a name those of each node.`,
		Example: example("haclusterctl services", "haclusterctl services 192.0.2.100:80", "haclusterctl services group web", "haclusterctl services --watch", "haclusterctl services --stats",
			"haclusterctl services --exit-code -o json   # 0 ok, 1 degraded or partial, 2 no quorum, 3 unknown"),
		Args:              argsBetween(0, 4),
		ValidArgsFunction: a.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := strings.Join(args, " ")
			if watch {
				return a.watchServices(cmd.Context(), name, stats)
			}
			var all *pb.Services
			err := a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) (err error) {
				all, err = pb.NewServicesServiceClient(conn).List(ctx, &pb.ListServicesRequest{Name: name})
				return err
			})
			if err != nil {
				return statusUnknown(err, exitCode)
			}
			switch {
			case a.json():
				err = a.printJSON(all)
			case len(all.GetServices()) == 0 && all.GetState() == pb.ServiceState_SERVICE_STATE_OK:
				a.printNoServices(all.GetNodes())
			case stats:
				a.printStats(a.out, all, name != "")
			default:
				a.printServices(a.out, all, name != "")
			}
			if err == nil && exitCode {
				err = servicesExit(all.GetState())
			}
			return err
		},
	}
	a.readFlags(cmd)
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "exit with 0 ok, 1 degraded or partial, 2 no quorum, 3 unknown")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on, and show each change")
	cmd.Flags().BoolVar(&stats, "stats", false, "show connections, packets and bytes, and their rates")
	cmd.AddCommand(a.connectionsCommand(), a.drainCommand(), a.weightCommand(), a.restoreWeightsCommand())
	return cmd
}

func servicesExit(s pb.ServiceState) error {
	switch s {
	case pb.ServiceState_SERVICE_STATE_OK:
		return nil
	case pb.ServiceState_SERVICE_STATE_DEGRADED, pb.ServiceState_SERVICE_STATE_PARTIAL:
		return &exitError{code: 1}
	case pb.ServiceState_SERVICE_STATE_NO_QUORUM:
		return &exitError{code: 2}
	default:
		return &exitError{code: 3}
	}
}

func (a *app) watchServices(ctx context.Context, name string, stats bool) error {
	line, show := servicesLine, a.printServices
	if stats {
		line, show = statsLine, a.printStats
	}
	return a.callWithout(ctx, func(ctx context.Context, conn *grpc.ClientConn) error {
		stream, err := pb.NewServicesServiceClient(conn).Watch(ctx, &pb.WatchServicesRequest{Name: name})
		if err != nil {
			return err
		}
		return follow(ctx, a, stream, line, func(w io.Writer, all *pb.Services) { show(w, all, name != "") })
	})
}

// servicesLine is a picture in one line.
func servicesLine(all *pb.Services) string {
	says := []string{word(all.GetState()) + "  " + all.GetReason()}
	for _, p := range all.GetPartialFailures() {
		says = append(says, p.GetService()+": "+p.GetSummary())
	}
	return strings.Join(says, "; ")
}

// printNoServices says why there is nothing to show.
func (a *app) printNoServices(nodes []*pb.ServicesNode) {
	fmt.Fprintln(a.err, "no virtual services")
	for _, n := range nodes {
		fmt.Fprintf(a.err, "%s: %s\n", n.GetName(), n.GetWhy())
	}
}

// completeServices completes the words of a service's name one by one.
func (a *app) completeServices(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.completions(func(ctx context.Context, conn *grpc.ClientConn) (words []string) {
		all, err := pb.NewServicesServiceClient(conn).List(ctx, &pb.ListServicesRequest{Local: true})
		if err != nil {
			return nil
		}
		for _, s := range all.GetServices() {
			name := strings.Fields(s.GetName())
			if len(name) > len(args) && slices.Equal(name[:len(args)], args) && !slices.Contains(words, name[len(args)]) {
				words = append(words, name[len(args)])
			}
		}
		return words
	})
}
