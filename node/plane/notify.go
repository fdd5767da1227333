package plane

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/internal/run"
	"github.com/hacluster/hacluster/vrrp"
)

// notifyTimeout ends a notify script that hangs, because the next one of the
// same instance waits for it.
const notifyTimeout = time.Minute

// notifier runs the notify scripts of instances and groups, in order for each.
type notifier struct {
	queue *run.Queue
	moved func(vrrp.Transition)

	mu      sync.Mutex
	scripts map[target]scripts // guarded by mu
}

// target is an instance, or a unit when the instance is empty.
type target struct{ unit, instance string }

// scripts are the notify_* words of one target, ready to run. A nil entry is a
// word that is not there.
type scripts struct {
	byState map[vrrp.State]*run.Command
	any     *run.Command
	lower   *run.Command
}

func newNotifier(log *slog.Logger, moved func(vrrp.Transition)) *notifier {
	return &notifier{queue: run.NewQueue(log.With("component", "notify")), moved: moved}
}

// set replaces the scripts.
func (n *notifier) set(state desired.State) error {
	all := make(map[target]scripts)
	for _, u := range state.Units {
		if u.Spec.Group {
			s, err := compileNotify(u.Notify, state.Daemon.EnableScriptSecurity)
			if err != nil {
				return fmt.Errorf("vrrp_sync_group %s: %w", u.Spec.Name, err)
			}
			all[target{u.Spec.Name, ""}] = s
		}
		for name, words := range u.Instances {
			s, err := compileNotify(words, state.Daemon.EnableScriptSecurity)
			if err != nil {
				return fmt.Errorf("vrrp_instance %s: %w", name, err)
			}
			all[target{u.Spec.Name, name}] = s
		}
	}
	n.mu.Lock()
	n.scripts = all
	n.mu.Unlock()
	return nil
}

func compileNotify(words desired.Notify, secure bool) (scripts, error) {
	out := scripts{byState: make(map[vrrp.State]*run.Command)}
	for _, w := range []struct {
		words desired.Command
		put   func(*run.Command)
	}{
		{words.Master, func(c *run.Command) { out.byState[vrrp.Master] = c }},
		{words.Backup, func(c *run.Command) { out.byState[vrrp.Backup] = c }},
		{words.Fault, func(c *run.Command) { out.byState[vrrp.Fault] = c }},
		{words.Stop, func(c *run.Command) { out.byState[vrrp.Init] = c }},
		{words.Any, func(c *run.Command) { out.any = c }},
		{words.MasterRxLowerPri, func(c *run.Command) { out.lower = c }},
	} {
		if len(w.words.Argv) == 0 {
			continue
		}
		user, err := run.Account(w.words.User.Name, w.words.User.Group)
		if err != nil {
			return scripts{}, err
		}
		w.put(&run.Command{Argv: w.words.Argv, User: user, Timeout: notifyTimeout, Secure: secure})
	}
	return out, nil
}

// transition runs on the engine's goroutine.
func (n *notifier) transition(t vrrp.Transition) {
	n.moved(t)
	s := n.of(t.Unit, t.Instance)
	key := t.Unit + "/" + t.Instance
	var env []string
	if t.Ballot != 0 {
		env = []string{"HACLUSTER_BALLOT=" + strconv.FormatUint(t.Ballot, 10)}
	}
	if s.byState[t.To] != nil {
		c := *s.byState[t.To]
		c.Env = env
		n.queue.Put(key, c)
	}
	if s.any != nil {
		c := *s.any
		c.Env = env
		name, state := t.Instance, t.To.String()
		if t.Instance == "" {
			name = t.Unit
		}
		if t.To == vrrp.Init {
			state = "STOP" // keepalived's word for the daemon's end
		}
		c.Argv = append(c.Argv[:len(c.Argv):len(c.Argv)], run.NotifyArgs(t.Instance == "", name, state, int(t.Priority))...)
		n.queue.Put(key, c)
	}
}

// lowerPriority runs on the engine's goroutine.
func (n *notifier) lowerPriority(l vrrp.LowerPriority) {
	if c := n.of(l.Unit, l.Instance).lower; c != nil {
		n.queue.Put(l.Unit+"/"+l.Instance, *c)
	}
}

func (n *notifier) of(unit, instance string) scripts {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.scripts[target{unit, instance}]
}

// close waits for the scripts that are queued, as long as ctx allows.
func (n *notifier) close(ctx context.Context) error { return n.queue.Close(ctx) }
