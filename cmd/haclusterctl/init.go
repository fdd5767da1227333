package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) initCommand() *cobra.Command {
	req := &pb.InitRequest{}
	var file string
	var quiet bool
	cmd := &cobra.Command{
		Use:   "init [NAME]",
		Short: "Make a cluster of this node, and print the command with which others join",
		Long: `Init makes a cluster whose first member is this node, and prints the command
to run on each other machine. NAME is for people; without one it is "hacluster".

The token in that command works for one hour, on any number of machines.`,
		Example: example("haclusterctl init web", "haclusterctl init web --config /etc/keepalived/keepalived.conf", "haclusterctl init --advertise 192.0.2.11 -q   # only the join command"),
		Args:    argsBetween(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Cluster = "hacluster"
			if len(args) == 1 {
				req.Cluster = args[0]
			}
			if file != "" {
				text, err := a.readDocument(file)
				if err != nil {
					return err
				}
				req.Text, req.File = text, file
			}
			req.OnBehalf = a.env("SUDO_USER")
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := pb.NewLifecycleServiceClient(conn).Init(ctx, req)
				if err != nil {
					return err
				}
				a.printFindings(resp.GetFindings())
				return a.printInit(resp, quiet)
			})
		},
	}
	a.readFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&file, "config", "", "first configuration, in keepalived's language; - reads standard input")
	flags.StringVar(&req.Advertise, "advertise", "", "address[:port] at which the other nodes reach this one")
	flags.BoolVar(&req.AcceptUnsupported, "accept-unsupported", false, "take a configuration with words that hacluster does not implement")
	flags.BoolVarP(&quiet, "quiet", "q", false, "print only the join command")
	return cmd
}

// joinCommand is the exact line to run on another machine.
func joinLine(address, token string) string {
	return fmt.Sprintf("haclusterctl join %s --token %s", address, token)
}

func (a *app) printInit(resp *pb.InitResponse, quiet bool) error {
	line := joinLine(resp.GetAddress(), resp.GetToken().GetSecret())
	switch {
	case a.json():
		return a.printJSON(resp)
	case quiet:
		a.printf("%s\n", line)
		return nil
	}
	a.printf("%s\n\n", a.style(green, fmt.Sprintf("Cluster %s is made; %s is its first member.", resp.GetCluster(), resp.GetNode())))
	a.printf("On each other machine, before %s, run:\n\n  %s\n\n", a.when(resp.GetToken().GetExpires()), line)
	if resp.GetRevision().GetNumber() <= 1 {
		a.printf("Then give the cluster its configuration:\n\n  haclusterctl config edit\n\nand look at it:\n\n  haclusterctl status\n")
	}
	return nil
}

// readDocument reads a file, or standard input for -.
func (a *app) readDocument(name string) (string, error) {
	text, err := func() ([]byte, error) {
		if name == "-" {
			return readAll(a.in)
		}
		return os.ReadFile(name)
	}()
	if err != nil {
		return "", &exitError{code: exitRefused, text: err.Error()}
	}
	return string(text), nil
}
