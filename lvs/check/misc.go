package check

import (
	"context"
	"strings"

	"github.com/hacluster/hacluster/internal/run"
)

// Misc is MISC_CHECK: a server is up when a program exits with status 0. One that
// cannot be started says nothing of a server; keepalived leaves such a check
// out.
type Misc struct {
	// Command is misc_path, user and misc_timeout (by default delay_loop);
	// its Timeout should be above 0, or a program that hangs runs for ever.
	Command run.Command
	// Dynamic is misc_dynamic: exit status 2 to 255 is up too, with a weight
	// of status - 2.
	Dynamic bool
}

// program implements the interface of the same name: few run at once.
func (Misc) program() {}

// String implements Checker.
func (c Misc) String() string { return MiscCheck.String() + " " + strings.Join(c.Command.Argv, " ") }

// Check implements Checker. Its bound is the command's timeout and 3 s.
func (c Misc) Check(ctx context.Context) Result {
	r := run.Run(ctx, c.Command)
	switch {
	case r.OK():
		return up(c, "%s", r)
	case c.Dynamic && r.Outcome == run.Exited && r.Status >= 2:
		found := up(c, "%s, so weight %d", r, r.Status-2)
		found.Weight = Weight{Op: WeightSet, Value: r.Status - 2}
		return found
	case r.Outcome == run.LaunchFailed:
		return void(c, "%s", r)
	}
	if said, _, _ := strings.Cut(strings.TrimSpace(r.Output), "\n"); said != "" {
		return down(c, "%s, it says %.200q", r, said)
	}
	return down(c, "%s", r)
}
