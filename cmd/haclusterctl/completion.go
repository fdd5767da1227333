package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "completion bash|zsh|fish",
		Short:     "Print the completion of a shell, with names of nodes, instances and revisions",
		Example:   example("haclusterctl completion bash > /etc/bash_completion.d/haclusterctl", "source <(haclusterctl completion zsh)"),
		ValidArgs: []string{"bash", "zsh", "fish"},
		Args:      argsBetween(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				return cmd.Root().GenBashCompletionV2(a.out, true)
			case "zsh":
				return cmd.Root().GenZshCompletion(a.out)
			case "fish":
				return cmd.Root().GenFishCompletion(a.out, true)
			}
			return usageError("shell %q is not known; use bash, zsh or fish", args[0])
		},
	}
}

// completions asks the daemon for what can stand here. Nobody waits long for a
// completion, and an error completes nothing.
func (a *app) completions(ask func(context.Context, *grpc.ClientConn) []string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	conn, err := a.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer conn.Close()
	return ask(ctx, conn), cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeNodes(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return a.completeNodesThat(func(*pb.Node) bool { return true })
}

// completeDeadNodes completes what can be removed.
func (a *app) completeDeadNodes(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return a.completeNodesThat(func(n *pb.Node) bool { return !n.GetAlive() })
}

func (a *app) completeNodesThat(fit func(*pb.Node) bool) ([]string, cobra.ShellCompDirective) {
	return a.completions(func(ctx context.Context, conn *grpc.ClientConn) (names []string) {
		resp, err := pb.NewNodesServiceClient(conn).List(ctx, &pb.ListNodesRequest{})
		if err != nil {
			return nil
		}
		for _, n := range resp.GetNodes() {
			if fit(n) {
				names = append(names, n.GetName())
			}
		}
		return names
	})
}

func (a *app) completeUnits(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return a.completions(func(ctx context.Context, conn *grpc.ClientConn) (names []string) {
		resp, err := pb.NewVipsServiceClient(conn).List(ctx, &pb.ListVipsRequest{})
		if err != nil {
			return nil
		}
		seen := map[string]bool{}
		for _, v := range resp.GetVips() {
			if !seen[v.GetUnit()] {
				seen[v.GetUnit()] = true
				names = append(names, v.GetUnit()+"\t"+v.GetAddress())
			}
		}
		return names
	})
}

func (a *app) completeRevisions(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return a.completions(func(ctx context.Context, conn *grpc.ClientConn) (numbers []string) {
		resp, err := pb.NewConfigServiceClient(conn).History(ctx, &pb.ConfigHistoryRequest{})
		if err != nil {
			return nil
		}
		for _, r := range resp.GetRevisions() {
			numbers = append(numbers, fmt.Sprintf("%d\t%s: %s", r.GetNumber(), r.GetAuthor(), r.GetMessage()))
		}
		return numbers
	})
}
