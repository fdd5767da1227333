package main

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) configDiffCommand() *cobra.Command {
	var quiet bool
	cmd := &cobra.Command{
		Use:   "diff [REVISION [REVISION|FILE]] | diff FILE",
		Short: "Compare two revisions, or a revision and a file",
		Long: `Diff compares in unified form. Without arguments it shows what the last revision
changed; with one revision, what changed since; with a file, what applying it
would change. Passwords stand as ***.`,
		Example:           example("haclusterctl config diff", "haclusterctl config diff 11 12", "haclusterctl config diff new.conf", "haclusterctl config diff --quiet new.conf || haclusterctl config apply new.conf"),
		Args:              argsBetween(0, 2),
		ValidArgsFunction: a.completeRevisions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				client := pb.NewConfigServiceClient(conn)
				req, err := a.diffRequest(ctx, client, args)
				if err != nil {
					return err
				}
				resp, err := client.Diff(ctx, req)
				if err != nil {
					return err
				}
				if a.json() {
					err = a.printJSON(resp)
				} else if !quiet {
					a.printDiff(resp.GetDiff())
				}
				if err == nil && quiet && resp.GetDiff() != "" {
					err = &exitError{code: exitRefused}
				}
				return err
			})
		},
	}
	a.readFlags(cmd)
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print nothing; exit with 1 when there is a difference")
	return cmd
}

func (a *app) diffRequest(ctx context.Context, client pb.ConfigServiceClient, args []string) (*pb.DiffConfigRequest, error) {
	req := &pb.DiffConfigRequest{}
	if len(args) == 0 {
		history, err := client.History(ctx, &pb.ConfigHistoryRequest{Limit: 1})
		if err != nil {
			return nil, err
		}
		if history.GetCurrent() <= 1 {
			return nil, &exitError{code: exitRefused, text: "there is only one revision: nothing to compare it with"}
		}
		req.From = history.GetCurrent() - 1
		return req, nil
	}
	last := args[len(args)-1]
	var err error
	if _, statErr := os.Stat(last); last == "-" || statErr == nil {
		req.WithText, req.File = true, last
		if req.Text, err = a.readDocument(last); err != nil {
			return nil, err
		}
		args = args[:len(args)-1]
	}
	if req.From, err = revisionArg(args, 0); err != nil {
		return nil, err
	}
	req.To, err = revisionArg(args, 1)
	return req, err
}

// printDiff prints a unified difference, coloured on a terminal.
func (a *app) printDiff(diff string) {
	for line := range strings.Lines(diff) {
		shade := noStyle
		switch {
		case strings.HasPrefix(line, "+++"), strings.HasPrefix(line, "---"), strings.HasPrefix(line, "diff "):
			shade = bold
		case strings.HasPrefix(line, "@@"):
			shade = dim
		case strings.HasPrefix(line, "+"):
			shade = green
		case strings.HasPrefix(line, "-"):
			shade = red
		}
		a.printf("%s\n", a.style(shade, strings.TrimSuffix(line, "\n")))
	}
}
