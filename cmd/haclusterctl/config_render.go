package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) configRenderCommand() *cobra.Command {
	var file string
	req := &pb.RenderConfigRequest{}
	cmd := &cobra.Command{
		Use:   "render [--node NODE]",
		Short: "Print the plain keepalived.conf of one node",
		Long: `Render prints the document as one node sees it: @NODE lines are resolved and
hacluster's own blocks are gone, so that keepalived takes it.

With --file it renders that file and needs no daemon.`,
		Example: example("haclusterctl config render --node lb01", "haclusterctl config render --node lb01 --revision 12", "haclusterctl config render --node lb01 --file cluster.conf"),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file != "" {
				return a.renderFile(file, req.GetNode())
			}
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := pb.NewConfigServiceClient(conn).Render(ctx, req)
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(resp)
				}
				_, err = fmt.Fprint(a.out, resp.GetText())
				return err
			})
		},
	}
	a.readFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&req.Node, "node", "", "the node; default: this one")
	flags.Uint64Var(&req.Revision, "revision", 0, "an earlier revision")
	flags.StringVar(&file, "file", "", "render this file, without a daemon; - reads standard input")
	cmd.MarkFlagsMutuallyExclusive("file", "revision")
	cmd.RegisterFlagCompletionFunc("node", a.completeNodes)
	cmd.RegisterFlagCompletionFunc("revision", a.completeRevisions)
	return cmd
}

func (a *app) renderFile(file, node string) error {
	text, err := a.readDocument(file)
	if err != nil {
		return err
	}
	if node == "" {
		node = shortHostName()
	}
	rendered, err := config.Render(syntax.Parse(file, text), node)
	if err != nil {
		return refusedHere(err)
	}
	if a.json() {
		return a.printJSON(&pb.RenderConfigResponse{Node: node, Text: rendered})
	}
	_, err = fmt.Fprint(a.out, rendered)
	return err
}
