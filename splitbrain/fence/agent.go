package fence

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/run"
)

// Action is what an agent is asked to do.
type Action string

// Actions of the convention that are used here.
const (
	Reboot  Action = "reboot"
	Off     Action = "off"
	Monitor Action = "monitor" // can the device be reached, and are the options right?
	Status  Action = "status"  // is the machine on?
)

// Option is one option of an agent.
type Option struct {
	Name, Value string
	Secret      bool // the value is not to be shown
}

// Agent is the agent of one machine.
type Agent struct {
	Node    string // the machine
	Program string // a name to look for in run.Path, or a path
	Action  Action // Reboot or Off: how it is fenced
	Options []Option
	Timeout time.Duration // of one run
}

// Power is what an agent says of a machine.
type Power uint8

// Powers.
const (
	Unknown Power = iota
	On
	PoweredOff
)

func (p Power) String() string { return [...]string{"unknown", "on", "off"}[p] }

// exitOff is the exit status of action=status for a machine that is off.
const exitOff = 2

// Fence ends the machine's life. Nil means that the agent vouches for it.
func (a *Agent) Fence(ctx context.Context) error { return a.run(ctx, a.Action).asError() }

// Check asks whether the agent would work; it touches no power.
func (a *Agent) Check(ctx context.Context) error { return a.run(ctx, Monitor).asError() }

// Power asks whether the machine is on.
func (a *Agent) Power(ctx context.Context) (Power, error) {
	r := a.run(ctx, Status)
	switch {
	case r.OK():
		return On, nil
	case r.Outcome == run.Exited && r.Status == exitOff:
		return PoweredOff, nil
	}
	return Unknown, r.asError()
}

// result is how a run ended, with its secrets hidden.
type result struct {
	run.Result
	program string
	action  Action
}

func (a *Agent) run(ctx context.Context, action Action) result {
	r := run.Run(ctx, run.Command{
		Argv:    []string{a.Program},
		Input:   a.input(action),
		Timeout: a.Timeout,
		Secure:  true, // it has the keys to the power
	})
	r.Output = a.hide(r.Output)
	return result{r, a.Program, action}
}

// input makes the lines that the agent reads. Agents that do not know nodename
// pass over it, as they must for Pacemaker.
func (a *Agent) input(action Action) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "action=%s\nnodename=%s\n", action, a.Node)
	for _, o := range a.Options {
		if o.Name != "action" && o.Name != "nodename" {
			fmt.Fprintf(&b, "%s=%s\n", o.Name, o.Value)
		}
	}
	return b.Bytes()
}

// hide takes the secrets out of what an agent has printed.
func (a *Agent) hide(text string) string {
	for _, o := range a.Options {
		if o.Secret && o.Value != "" {
			text = strings.ReplaceAll(text, o.Value, "***")
		}
	}
	return text
}

// asError says how a run failed, with the last line that the agent printed.
func (r result) asError() error {
	if r.OK() {
		return nil
	}
	text := strings.TrimSpace(r.Output)
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	if text == "" {
		return fmt.Errorf("%s action=%s: %s", r.program, r.action, r.Result)
	}
	return fmt.Errorf("%s action=%s: %s: %s", r.program, r.action, r.Result, text)
}
