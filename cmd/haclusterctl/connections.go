package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) connectionsCommand() *cobra.Command {
	req := &pb.ListConnectionsRequest{}
	cmd := &cobra.Command{
		Use:   "connections [NAME|ADDRESS]",
		Short: "List the connections that the kernels have in their tables",
		Long: `Connections asks every node for its kernel's table of connections. The node that
holds the address has them; others have copies at best (lvs_sync_daemon). A client
with port 0 is one that is remembered (persistence).

Of a service by firewall mark all connections to its real servers are listed: the
table does not say by which mark one came.`,
		Example: example("haclusterctl services connections", "haclusterctl services connections 192.0.2.100:80 --real 10.0.0.1",
			"haclusterctl services connections --client 203.0.113.0/24 --limit 20000 -o json"),
		Args:              argsBetween(0, 4),
		ValidArgsFunction: a.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Name = strings.Join(args, " ")
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				all, err := pb.NewServicesServiceClient(conn).ListConnections(ctx, req)
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(all)
				}
				a.printConnections(all)
				return nil
			})
		},
	}
	a.readFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&req.Server, "real", "", "only those of this real server: ADDRESS, or ADDRESS:PORT")
	flags.StringVar(&req.Client, "client", "", "only those of this client: ADDRESS, or PREFIX")
	flags.Uint32Var(&req.Limit, "limit", 1000, "how many each node lists, at most 20000")
	return cmd
}

func (a *app) printConnections(all *pb.Connections) {
	shown := make(map[string]uint64)
	rows := [][]cell{plain("NODE", "PROTO", "CLIENT", "VIRTUAL", "REAL", "STATE", "EXPIRES")}
	for _, c := range all.GetConnections() {
		shown[c.GetNode()]++
		rows = append(rows, []cell{
			{c.GetNode(), bold}, {text: c.GetProtocol()}, {text: c.GetClient()}, {text: c.GetVirtual()}, {text: c.GetServer()},
			{text: c.GetState()}, {text: c.GetExpires().AsDuration().String()},
		})
	}
	if len(rows) > 1 {
		a.table(a.out, rows)
	} else {
		fmt.Fprintln(a.err, "no connections")
	}
	for _, n := range all.GetNodes() {
		switch {
		case !n.GetAnswered():
			fmt.Fprintf(a.err, "%s did not answer: %s\n", n.GetName(), n.GetWhy())
		case n.GetWhy() != "":
			fmt.Fprintf(a.err, "%s: %s\n", n.GetName(), n.GetWhy())
		case n.GetTotal() > shown[n.GetName()]:
			fmt.Fprintf(a.err, "%s: %d of %d are shown; --limit shows more\n", n.GetName(), shown[n.GetName()], n.GetTotal())
		}
	}
}
