package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
)

func (a *app) configImportCommand() *cobra.Command {
	var byNode []string
	var out string
	var apply bool
	opts := &applyOptions{}
	cmd := &cobra.Command{
		Use:   "import --node NODE=FILE...",
		Short: "Make one cluster document of a keepalived.conf for each machine",
		Long: `Import reads the keepalived.conf of each machine and makes one document: lines
that all have stand once, others get @NODE. It proves that every node gets back
what its file said (config render), and needs no daemon.

The document goes to standard output, to a file with --out, or with --apply
becomes the cluster's next revision.`,
		Example: example(
			"haclusterctl config import --node lb01=lb01.conf --node lb02=lb02.conf > cluster.conf",
			"haclusterctl config import --node lb01=lb01.conf --node lb02=lb02.conf --apply",
			"haclusterctl config import /etc/keepalived/keepalived.conf   # of this machine"),
		Args: argsBetween(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := importFiles(byNode, args)
			if err != nil {
				return err
			}
			text, report, err := config.Import(files)
			a.printFindings(findingsToProto(report.Findings))
			if err != nil {
				return refusedHere(fmt.Errorf("import: %w", err))
			}
			a.printImport(slices.Sorted(maps.Keys(files)), report)
			switch {
			case apply:
				opts.file, opts.force = "the imported document", true
				if opts.message == "" {
					opts.message = "import of " + strings.Join(slices.Sorted(maps.Keys(files)), ", ")
				}
				return a.applyText(cmd.Context(), text, opts)
			case out != "":
				if err := os.WriteFile(out, []byte(text), 0o600); err != nil {
					return refusedHere(err)
				}
				return nil
			default:
				_, err := fmt.Fprint(a.out, text)
				return err
			}
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&byNode, "node", nil, "NODE=FILE: the keepalived.conf of a machine")
	flags.StringVar(&out, "out", "", "write the document to this file (mode 0600: it may hold passwords)")
	flags.BoolVar(&apply, "apply", false, "make it the cluster's next revision")
	a.applyFlags(cmd, opts)
	cmd.MarkFlagsMutuallyExclusive("out", "apply")
	return cmd
}

func importFiles(byNode, args []string) (map[string]config.ImportSource, error) {
	for _, file := range args {
		byNode = append(byNode, shortHostName()+"="+file)
	}
	if len(byNode) == 0 {
		return nil, usageError("no file given: haclusterctl config import --node lb01=FILE --node lb02=FILE")
	}
	files := make(map[string]config.ImportSource)
	for _, pair := range byNode {
		node, file, ok := strings.Cut(pair, "=")
		if !ok || node == "" || file == "" {
			return nil, usageError("--node %s: write NODE=FILE", pair)
		}
		if _, twice := files[node]; twice {
			return nil, usageError("--node %s is given twice", node)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, refusedHere(err)
		}
		files[node] = config.ImportSource{File: file, Text: string(text), Files: syntax.OSFiles{}}
	}
	return files, nil
}

func (a *app) printImport(nodes []string, report config.ImportReport) {
	var own []string
	for _, node := range nodes {
		own = append(own, fmt.Sprintf("%s %d", node, report.Own[node]))
	}
	fmt.Fprintf(a.err, "%s shared, own lines: %s; every node gets back what its file said\n", count(report.Shared, "line"), strings.Join(own, ", "))
	if len(report.Rewritten) > 0 {
		fmt.Fprintf(a.err, "without comments, because of include or long definitions: %s\n", strings.Join(report.Rewritten, ", "))
	}
}
