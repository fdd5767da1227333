package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) configEditCommand() *cobra.Command {
	opts := &applyOptions{}
	cmd := &cobra.Command{
		Use:   "edit",
		Short: "Edit the document in $EDITOR, and apply it",
		Long: `Edit opens the present document in $VISUAL, $EDITOR or vi, shows the difference,
asks, and applies it. Without a terminal EDITOR or VISUAL must be set, and
nothing is asked. What others commit meanwhile is merged. When anything goes
wrong the edited text is kept, and its place is printed.`,
		Example: example("sudo haclusterctl config edit", "sudo EDITOR=nano haclusterctl config edit -m 'new address for VI_1'"),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return &exitError{code: exitNoDaemon, text: "only root may change the cluster", remedy: "use sudo"}
			}
			return a.edit(cmd.Context(), opts)
		},
	}
	a.applyFlags(cmd, opts)
	cmd.Flags().Lookup("yes").Usage = "do not ask, whatever the edit takes away"
	return cmd
}

func (a *app) edit(ctx context.Context, opts *applyOptions) error {
	editor, err := a.editor()
	if err != nil {
		return err
	}
	var shown *pb.ShowConfigResponse
	if err := a.call(ctx, func(ctx context.Context, conn *grpc.ClientConn) (err error) {
		shown, err = pb.NewConfigServiceClient(conn).Show(ctx, &pb.ShowConfigRequest{})
		return err
	}); err != nil {
		return err
	}
	file, err := os.CreateTemp("", "hacluster-*.conf") // mode 0600: it holds passwords
	if err != nil {
		return refusedHere(err)
	}
	_, err = file.WriteString(shown.GetText())
	if err := errors.Join(err, file.Close()); err != nil {
		return refusedHere(err)
	}
	opts.base, opts.file = shown.GetRevision().GetNumber(), file.Name()
	if err := a.editUntilApplied(ctx, editor, shown.GetText(), opts); err != nil {
		e, ok := errors.AsType[*exitError](err)
		now, _ := os.ReadFile(file.Name())
		if ok && e.code != exitNotEvery && string(now) != shown.GetText() {
			fmt.Fprintf(a.err, "your text is kept in %s; haclusterctl config apply --base %d %s tries again\n", file.Name(), opts.base, file.Name())
			return err
		}
		os.Remove(file.Name())
		return err
	}
	return os.Remove(file.Name())
}

// editUntilApplied edits, and on a terminal edits again while the document is
// refused for what it says.
func (a *app) editUntilApplied(ctx context.Context, editor, before string, opts *applyOptions) error {
	for {
		failed := a.runEditor(ctx, editor, opts.file)
		after, err := os.ReadFile(opts.file)
		switch {
		case err != nil:
			return refusedHere(err)
		case failed != nil && string(after) == before:
			return &exitError{code: exitRefused, text: failed.Error() + ": not edited, nothing was changed"}
		case failed != nil:
			return failed
		case string(after) == before:
			a.printf("nothing was changed\n")
			return nil
		}
		if a.interactive && !opts.yes {
			if err := a.showEdit(ctx, string(after), opts); err != nil {
				return err
			}
			if !a.ask("Apply this to the cluster?") {
				return &exitError{code: exitRefused, text: "not applied"}
			}
		}
		err = a.applyText(ctx, string(after), opts)
		e, ok := errors.AsType[*exitError](err)
		if !ok || e.code != exitRefused || !a.interactive || ctx.Err() != nil {
			return err
		}
		fmt.Fprintln(a.err, e.Error())
		if !a.ask("Edit again?") {
			return &exitError{code: exitRefused, text: "not applied"}
		}
		opts.requestID = "" // another text is another request
	}
}

func (a *app) showEdit(ctx context.Context, text string, opts *applyOptions) error {
	return a.call(ctx, func(ctx context.Context, conn *grpc.ClientConn) error {
		resp, err := pb.NewConfigServiceClient(conn).Diff(ctx, &pb.DiffConfigRequest{From: opts.base, WithText: true, Text: text, File: "your edit"})
		if err == nil {
			a.printDiff(resp.GetDiff())
		}
		return err
	})
}

// editor is the program to edit with. Without a terminal there is no default:
// vi would wait for keys that nobody presses.
func (a *app) editor() (string, error) {
	for _, name := range []string{"VISUAL", "EDITOR"} {
		if editor := a.env(name); editor != "" {
			return editor, nil
		}
	}
	if !a.interactive {
		return "", &exitError{
			code: exitUsage, text: "this is no terminal to edit on",
			remedy: "haclusterctl config show > FILE, then haclusterctl config apply FILE; or name an editor by EDITOR",
		}
	}
	return "vi", nil
}

func (a *app) runEditor(ctx context.Context, editor, file string) error {
	// The shell splits what EDITOR holds, as every program does.
	cmd := exec.CommandContext(ctx, "sh", "-c", editor+` "$1"`, "sh", file)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.in, a.out, a.err
	if err := cmd.Run(); err != nil {
		return &exitError{code: exitRefused, text: fmt.Sprintf("editor %s: %v", editor, err)}
	}
	return nil
}

// ask asks a question on the terminal; the answer that does nothing is no.
func (a *app) ask(question string) bool {
	fmt.Fprintf(a.err, "%s [y/N] ", question)
	answer, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil {
		return false
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}
