package fencing

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/splitbrain/fence"
)

// agents are the agents of other nodes that are checked now and then.
type agents struct {
	node     string // this one
	alert    func(splitbrain.Alert)
	watch    *fence.Watch
	verdicts chan fence.Verdict // the next check waits until one is taken

	watched []fence.Agent
	failed  map[string]splitbrain.Alert // by node, the alerts that stand
}

// newAgents returns agents whose checks end with ctx.
func newAgents(ctx context.Context, node string, alert func(splitbrain.Alert)) *agents {
	g := &agents{node: node, alert: alert, verdicts: make(chan fence.Verdict), failed: make(map[string]splitbrain.Alert)}
	g.watch = fence.NewWatch(func(v fence.Verdict) {
		select {
		case g.verdicts <- v:
		case <-ctx.Done():
		}
	})
	return g
}

// agentFor is the agent of a node, by the words of a unit.
func agentFor(state desired.State, unit, node string) (fence.Agent, bool) {
	for _, u := range state.Units {
		for _, a := range u.SplitBrain.Fencing.Agents {
			if u.Spec.Name == unit && a.Node == node {
				return agentOf(a, u.SplitBrain.Fencing.Timeout), true
			}
		}
	}
	return fence.Agent{}, false
}

func agentOf(a desired.FenceAgent, timeout time.Duration) fence.Agent {
	out := fence.Agent{Node: a.Node, Program: a.Program, Action: fence.Action(a.Action), Timeout: timeout}
	for _, o := range a.Options {
		out.Options = append(out.Options, fence.Option(o))
	}
	return out
}

// follow has all agents of other nodes checked, each once.
func (g *agents) follow(state desired.State) {
	var agents []fence.Agent
	for _, u := range state.Units {
		for _, a := range u.SplitBrain.Fencing.Agents {
			agent := agentOf(a, u.SplitBrain.Fencing.Timeout)
			if a.Node != g.node && !slices.ContainsFunc(agents, func(o fence.Agent) bool { return reflect.DeepEqual(o, agent) }) {
				agents = append(agents, agent)
			}
		}
	}
	if reflect.DeepEqual(agents, g.watched) {
		return
	}
	g.watched = agents
	g.watch.SetAgents(agents)
	for node, a := range g.failed {
		if !slices.ContainsFunc(agents, func(o fence.Agent) bool { return o.Node == node }) {
			g.resolve(node, a)
		}
	}
}

// checked turns the check of an agent into an alert, or its end.
func (g *agents) checked(v fence.Verdict) {
	node := v.Agent.Node
	open, standing := g.failed[node]
	switch {
	case v.Err == nil && standing:
		g.resolve(node, open)
	case v.Err != nil:
		a := splitbrain.Alert{
			Kind: splitbrain.FenceAgentFailed, Peer: node, Since: v.At,
			Summary:  fmt.Sprintf("%s could not fence %s: the check of its fence_agent failed", g.node, node),
			Evidence: []string{v.Err.Error()},
			Remedy:   "compare the options of the fence_agent with the device, and whether this node reaches it; it is checked again every 10 minutes",
		}
		if standing {
			a.Since = open.Since
		}
		g.failed[node] = a
		g.alert(a)
	}
}

func (g *agents) resolve(node string, a splitbrain.Alert) {
	delete(g.failed, node)
	a.Resolved, a.Evidence, a.Remedy = true, nil, ""
	g.alert(a)
}
