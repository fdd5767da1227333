package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/config"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show and change the cluster's one configuration document",
		Long: `The cluster has one document, in keepalived's language; lines that start with
@NODE count on that node only. Each change makes a revision: it is checked for
every node and tried on every live one before it is committed, and then runs
everywhere.`,
		Example: example("haclusterctl config edit", "haclusterctl config set 'vrrp_instance VI_1' priority 120 --node lb01", "haclusterctl config history"),
		Args:    noCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.configShowCommand(), a.configEditCommand(), a.configApplyCommand(), a.configCheckCommand(), a.configDiffCommand(),
		a.configHistoryCommand(), a.configRollbackCommand(), a.configConfirmCommand(), a.configSetCommand(), a.configImportCommand(), a.configRenderCommand(), a.configPlanCommand())
	return cmd
}

// maxDocument is the size of the largest document.
const maxDocument = 16 << 20

func readAll(r io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(r, maxDocument+1)) }

// errorFindings words a refusal that config made without a daemon.
func refusedHere(err error) error { return &exitError{code: exitRefused, text: err.Error()} }

// findingsToProto makes findings of this program look like the daemon's.
func findingsToProto(list config.Findings) []*pb.Finding {
	var out []*pb.Finding
	for _, f := range list {
		severity := pb.Finding_SEVERITY_WARNING
		switch f.Severity {
		case config.Error:
			severity = pb.Finding_SEVERITY_ERROR
		case config.Unsupported:
			severity = pb.Finding_SEVERITY_UNSUPPORTED
		}
		out = append(out, &pb.Finding{
			Severity: severity, File: f.Pos.File, Line: uint32(f.Pos.Line), Column: uint32(f.Pos.Col), Message: f.Msg, Node: f.Node})
	}
	return out
}

// shortHostName is this machine's name as haclusterd takes it by default.
func shortHostName() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	for i, r := range name {
		if r == '.' {
			return name[:i]
		}
	}
	return name
}
