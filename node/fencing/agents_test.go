package fencing

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/splitbrain"
	"github.com/hacluster/hacluster/splitbrain/fence"
	"github.com/hacluster/hacluster/vrrp"
)

// fenced is a unit with an agent for each of the nodes.
func fenced(unit string, nodes ...string) desired.Unit {
	u := desired.Unit{Spec: vrrp.UnitSpec{Name: unit}}
	for _, n := range nodes {
		u.SplitBrain.Fencing.Agents = append(u.SplitBrain.Fencing.Agents, desired.FenceAgent{Node: n, Program: "fence_test"})
	}
	return u
}

func TestAgentsOfOtherNodesAreCheckedOnceEach(t *testing.T) {
	g := newAgents(t.Context(), "lb01", func(splitbrain.Alert) {})
	g.follow(desired.State{Units: []desired.Unit{fenced("VI_1", "lb01", "lb02"), fenced("VI_2", "lb02", "lb03")}})
	var nodes []string
	for _, a := range g.watched {
		nodes = append(nodes, a.Node)
	}
	if want := []string{"lb02", "lb03"}; !slices.Equal(nodes, want) {
		t.Errorf("watched %v, want %v", nodes, want)
	}
}

func TestAnAgentThatWouldFailIsOneAlertUntilItWorksOrIsGone(t *testing.T) {
	var told []string
	g := newAgents(t.Context(), "lb01", func(a splitbrain.Alert) {
		told = append(told, fmt.Sprint(a.Peer, a.Since.Unix(), a.Resolved))
	})
	state := desired.State{Units: []desired.Unit{fenced("VI_1", "lb02", "lb03")}}
	g.follow(state)
	check := func(node string, at int64, err error) {
		g.checked(fence.Verdict{Agent: fence.Agent{Node: node}, Err: err, At: time.Unix(at, 0)})
	}
	refused := errors.New("connection refused")
	check("lb02", 1, refused)
	check("lb02", 2, refused) // it stands since the first time
	check("lb02", 3, nil)
	check("lb02", 4, nil)
	check("lb03", 5, refused)
	state.Units = []desired.Unit{fenced("VI_1", "lb02")}
	g.follow(state)
	want := []string{"lb021 false", "lb021 false", "lb021 true", "lb035 false", "lb035 true"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
