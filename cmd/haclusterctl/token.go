package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "token",
		Short:   "Make, list and revoke the tokens with which nodes join",
		Example: example("haclusterctl token create", "haclusterctl token list", "haclusterctl token revoke ABCD2345"),
		Args:    noCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.tokenCreateCommand(), a.tokenListCommand(), a.tokenRevokeCommand())
	return cmd
}

func (a *app) tokenCreateCommand() *cobra.Command {
	req := &pb.CreateTokenRequest{}
	var quiet bool
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:     "create",
		Short:   "Make a token, and print the command with which a node joins",
		Long:    "Create makes a token. Its text is shown this once: the cluster keeps only a hash.",
		Example: example("haclusterctl token create", "haclusterctl token create --role witness", "haclusterctl token create --uses -1 --ttl 24h -q   # only the token"),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ttl < time.Minute {
				return usageError("--ttl %s is too short; use 1m or more", ttl)
			}
			req.TtlSeconds = uint64(ttl / time.Second)
			req.OnBehalf = a.env("SUDO_USER")
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := pb.NewTokensServiceClient(conn).Create(ctx, req)
				if err != nil {
					return err
				}
				switch {
				case a.json():
					return a.printJSON(resp)
				case quiet:
					a.printf("%s\n", resp.GetToken().GetSecret())
					return nil
				}
				a.printf("On the new machine, before %s, run:\n\n  %s\n\n", a.when(resp.GetToken().GetExpires()),
					joinLine(strings.Join(resp.GetAddresses(), " "), resp.GetToken().GetSecret()))
				a.printf("It becomes a %s. To take the token back: haclusterctl token revoke %s\n", resp.GetToken().GetRole(), resp.GetToken().GetId())
				return nil
			})
		},
	}
	a.readFlags(cmd)
	flags := cmd.Flags()
	flags.DurationVar(&ttl, "ttl", time.Hour, "how long it works")
	flags.Int32Var(&req.Uses, "uses", 1, "how many nodes may join with it; -1: any number until it expires")
	flags.StringVar(&req.Role, "role", "voter", "voter, witness (votes, holds nothing) or non-voter")
	flags.BoolVarP(&quiet, "quiet", "q", false, "print only the token")
	cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]string{"voter", "witness", "non-voter"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) tokenListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the tokens that can still be used",
		Example: example("haclusterctl token list", "haclusterctl token list -o json"),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := pb.NewTokensServiceClient(conn).List(ctx, &pb.ListTokensRequest{})
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(resp)
				}
				if len(resp.GetTokens()) == 0 {
					fmt.Fprintln(a.err, "no tokens; haclusterctl token create makes one")
					return nil
				}
				rows := [][]cell{plain("ID", "ROLE", "EXPIRES", "USES LEFT", "USED BY", "MADE BY")}
				for _, t := range resp.GetTokens() {
					left := "any"
					if t.GetUsesLeft() >= 0 {
						left = fmt.Sprint(t.GetUsesLeft())
					}
					rows = append(rows, plain(t.GetId(), t.GetRole(), a.when(t.GetExpires()), left, strings.Join(t.GetUsedBy(), ", "), t.GetCreator()))
				}
				a.table(a.out, rows)
				return nil
			})
		},
	}
	a.readFlags(cmd)
	return cmd
}

func (a *app) tokenRevokeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revoke ID",
		Short:   "Make a token useless",
		Example: example("haclusterctl token revoke ABCD2345"),
		Args:    argsBetween(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := pb.NewTokensServiceClient(conn).Revoke(ctx, &pb.RevokeTokenRequest{Id: args[0]})
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(resp)
				}
				a.printf("Token %s is revoked.\n", args[0])
				return nil
			})
		},
	}
	a.readFlags(cmd)
	return cmd
}
