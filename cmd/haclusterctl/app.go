package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// Exit codes.
const (
	exitDone      = 0
	exitRefused   = 1 // refused or failed; nothing changed
	exitUsage     = 2 // also: what must be confirmed was not
	exitNoDaemon  = 3 // daemon not reachable, or no right
	exitNotEvery  = 4 // committed, but not running on every live node
	exitUncertain = 5 // outcome unknown
)

// exitError ends the program with a code and one line. Without text it says
// nothing more.
type exitError struct {
	code   int
	text   string
	remedy string // what to do; a sentence or a command
	reason pb.ErrorReason
}

func (e *exitError) Error() string {
	if e.remedy == "" {
		return e.text
	}
	return e.text + " (" + e.remedy + ")"
}

func usageError(format string, args ...any) error {
	return &exitError{code: exitUsage, text: fmt.Sprintf(format, args...)}
}

// app is one run of the program: its streams, its global flags and what the
// terminal can do.
type app struct {
	in       io.Reader
	out, err io.Writer
	env      func(string) string
	now      func() time.Time

	terminal    bool // out is one
	interactive bool // in is one, too: questions can be asked
	colour      bool
	width       int // columns of the terminal; 0: lines are as long as they are

	socket  string
	timeout time.Duration
	output  string
	warned  bool // of a daemon of another version
}

func newApp(in io.Reader, out, errs io.Writer, env func(string) string) *app {
	a := &app{in: in, out: out, err: errs, env: env, now: time.Now}
	a.terminal = isTerminal(out)
	a.interactive = a.terminal && isTerminal(in)
	a.width = terminalWidth(out)
	a.colour = a.terminal && env("NO_COLOR") == "" && env("TERM") != "dumb"
	return a
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// terminalWidth is how many columns a terminal has; 0 when it is none.
func terminalWidth(stream any) int {
	f, ok := stream.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	e, ok := errors.AsType[*exitError](err)
	if !ok {
		// What cobra itself finds wrong is wrong usage.
		e = &exitError{code: exitUsage, text: err.Error(), remedy: "haclusterctl --help shows how"}
	}
	if e.text != "" {
		fmt.Fprintln(a.err, a.style(red, "haclusterctl:"), e.Error())
	}
	return e.code
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "haclusterctl",
		Short: "Run a group of machines that keep virtual addresses alive",
		Long: `haclusterctl runs a cluster of haclusterd nodes from any one of them.

Reads need membership of the group haclusterd, changes need root. Every read
takes -o json. Exit status: 0 done; 1 refused or failed, nothing changed;
2 wrong usage, or --yes is needed; 3 daemon not reachable or no right;
4 committed, but not running on every live node; 5 outcome unknown (the request
id is printed).`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	flags := root.PersistentFlags()
	socket := a.env("HACLUSTER_SOCKET")
	if socket == "" {
		socket = "/run/haclusterd/api.sock"
	}
	flags.StringVar(&a.socket, "socket", socket, "unix socket of haclusterd; $HACLUSTER_SOCKET")
	flags.DurationVar(&a.timeout, "timeout", 30*time.Second, "how long the command may take")
	root.AddGroup(
		&cobra.Group{ID: "see", Title: "See:"},
		&cobra.Group{ID: "change", Title: "Change:"},
		&cobra.Group{ID: "members", Title: "Members:"},
		&cobra.Group{ID: "program", Title: "Program:"},
	)
	root.SetHelpCommandGroupID("program")
	for id, commands := range map[string][]*cobra.Command{
		"see":     {a.statusCommand(), a.vipsCommand(), a.servicesCommand(), a.nodesCommand(), a.eventsCommand(), a.alertsCommand(), a.incidentCommand(), a.doctorCommand()},
		"change":  {a.configCommand(), a.handoverCommand(), a.disarmCommand(), a.armCommand(), a.realserverCommand()},
		"members": {a.initCommand(), a.joinCommand(), a.tokenCommand(), a.leaveCommand(), a.removeCommand()},
		"program": {a.restartCommand(), a.versionCommand(), a.completionCommand()},
	} {
		for _, c := range commands {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &exitError{code: exitUsage, text: err.Error(), remedy: cmd.CommandPath() + " --help shows how"}
	})
	return root
}

// readFlags adds -o to a command that reads.
func (a *app) readFlags(cmd *cobra.Command) {
	cmd.Flags().VarP((*outputFlag)(&a.output), "output", "o", "form of the output")
	a.output = "text"
	cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

// outputFlag takes text or json.
type outputFlag string

func (f *outputFlag) String() string { return "text" }
func (f *outputFlag) Type() string   { return "text|json" }
func (f *outputFlag) Set(s string) error {
	if s != "text" && s != "json" {
		return errors.New("use text or json")
	}
	*f = outputFlag(s)
	return nil
}

func (a *app) json() bool { return a.output == "json" }

func (a *app) printf(format string, args ...any) { fmt.Fprintf(a.out, format, args...) }

// noArgs and exactArgs are cobra's checks with exit code 2 and a hint.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError("%s takes no argument, got %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// noCommand is for commands that only hold others: an argument is the name of
// one that does not exist.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	e := &exitError{code: exitUsage, text: fmt.Sprintf("%s has no command %q", cmd.CommandPath(), args[0])}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		e.remedy = "did you mean " + strings.Join(near, " or ") + "?"
	} else {
		e.remedy = cmd.CommandPath() + " --help lists them"
	}
	return e
}

func argsBetween(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usageError("usage: %s", cmd.UseLine())
		}
		return nil
	}
}

// example indents the lines of an example for cobra.
func example(lines ...string) string { return "  " + strings.Join(lines, "\n  ") }
