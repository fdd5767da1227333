package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) configCheckCommand() *cobra.Command {
	var local bool
	var nodes []string
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Say everything that is wrong with a document, for every node",
		Long: `Check compiles a document for every node of the cluster and lets every live one
try it; nothing is changed. Without a daemon, or with --local, it is compiled
here, for the nodes that it names or that --node gives.

Findings go to standard error as FILE:LINE:COLUMN: what is wrong and what would
be right. Exit status 1 when the document cannot be used.`,
		Example: example("haclusterctl config check new.conf", "haclusterctl config check --local --node lb01,lb02 new.conf"),
		Args:    argsBetween(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := a.readDocument(args[0])
			if err != nil {
				return err
			}
			var resp *pb.CheckConfigResponse
			if !local && len(nodes) == 0 {
				err := a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) (err error) {
					resp, err = pb.NewConfigServiceClient(conn).Check(ctx, &pb.CheckConfigRequest{Text: text, File: args[0]})
					return err
				})
				e, unreachable := errors.AsType[*exitError](err)
				if unreachable = unreachable && e.code == exitNoDaemon; err != nil && !unreachable {
					return err
				}
			}
			if resp == nil {
				resp = checkHere(args[0], text, nodes)
			}
			return a.printCheck(args[0], resp)
		},
	}
	a.readFlags(cmd)
	cmd.Flags().BoolVar(&local, "local", false, "compile here, without a daemon")
	cmd.Flags().StringSliceVar(&nodes, "node", nil, "compile here for these nodes")
	return cmd
}

// checkHere compiles a document without a daemon.
func checkHere(file, text string, nodes []string) *pb.CheckConfigResponse {
	doc := syntax.Parse(file, text)
	if len(nodes) == 0 {
		nodes = doc.Nodes()
	}
	if len(nodes) == 0 {
		nodes = []string{shortHostName()}
	}
	_, findings := config.CompileCluster(doc, config.Members(nodes...))
	return &pb.CheckConfigResponse{
		Findings: findingsToProto(findings), Nodes: nodes,
		Ok: findings.Err() == nil && len(findings.Of(config.Unsupported)) == 0,
	}
}

func (a *app) printCheck(file string, resp *pb.CheckConfigResponse) error {
	errs, unsupported, warnings := 0, 0, 0
	for _, f := range resp.GetFindings() {
		switch f.GetSeverity() {
		case pb.Finding_SEVERITY_ERROR:
			errs++
		case pb.Finding_SEVERITY_UNSUPPORTED:
			unsupported++
		default:
			warnings++
		}
	}
	if a.json() {
		if err := a.printJSON(resp); err != nil {
			return err
		}
	} else {
		a.printFindings(resp.GetFindings())
	}
	if errs > 0 {
		return &exitError{code: exitRefused, text: fmt.Sprintf("%s cannot be used: %s", file, count(errs, "error"))}
	}
	if a.json() {
		return nil
	}
	good := "is good for "
	if warnings > 0 {
		good = "can be used, with " + count(warnings, "warning") + ", by "
	}
	tried := "; tried on no node"
	if len(resp.GetPrepared()) > 0 {
		tried = "; tried on " + strings.Join(resp.GetPrepared(), ", ")
	}
	a.printf("%s %s%s%s\n", file, good, strings.Join(resp.GetNodes(), ", "), tried)
	if unsupported > 0 {
		a.printf("apply takes it only with --accept-unsupported (%s)\n", count(unsupported, "statement"))
	}
	return nil
}
