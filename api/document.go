package api

import (
	"reflect"
	"slices"
	"strings"

	"github.com/hacluster/hacluster/cluster/store"
	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
)

// checkDocument compiles a document for every named member.
func checkDocument(file, text string, nodes []config.Member) config.Findings {
	_, findings := config.CompileCluster(syntax.Parse(file, text), nodes)
	return findings
}

// configMembers are the members that a document is for, by name.
func configMembers(members []store.Member) []config.Member {
	out := make([]config.Member, len(members))
	for i, m := range members {
		out[i] = config.Member{Name: m.Name, Role: config.Role(m.Role)}
	}
	slices.SortFunc(out, func(a, b config.Member) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// compileFor gives what a document says for one member, as far as it can be read.
func compileFor(text string, m config.Member) *config.Config {
	c, _ := config.CompileWith(syntax.Parse("", text), config.Options{Node: m.Name, Witness: m.Role == config.RoleWitness})
	return c
}

// joinNodes makes one finding of those that several nodes share, and names them
// all in it.
func joinNodes(findings config.Findings) config.Findings {
	slices.SortStableFunc(findings, func(a, b config.Finding) int { return strings.Compare(a.Node, b.Node) })
	var out config.Findings
	for _, f := range findings {
		i := slices.IndexFunc(out, func(o config.Finding) bool { return o.Severity == f.Severity && o.Pos == f.Pos && o.Msg == f.Msg })
		if i < 0 {
			out = append(out, f)
			continue
		}
		out[i].Node += ", " + f.Node
	}
	return out
}

// unitChanges is what a new document changes in the units of one node.
type unitChanges struct{ added, removed, changed []string }

// compareUnits compares the units that two documents give a node. Old may be
// empty.
func compareUnits(oldText, newText string, node config.Member) unitChanges {
	before, after := units(compileFor(oldText, node)), units(compileFor(newText, node))
	var c unitChanges
	for name, unit := range after {
		old, existed := before[name]
		switch {
		case !existed:
			c.added = append(c.added, name)
		case !reflect.DeepEqual(old, unit):
			c.changed = append(c.changed, name)
		}
	}
	for name := range before {
		if _, stays := after[name]; !stays {
			c.removed = append(c.removed, name)
		}
	}
	slices.Sort(c.added)
	slices.Sort(c.removed)
	slices.Sort(c.changed)
	return c
}

// units sorts what a configuration says by unit: sync groups with their
// members, and instances in none.
func units(c *config.Config) map[string][]any {
	out := make(map[string][]any)
	group := make(map[string]string)
	for _, g := range c.Groups {
		out[g.Name] = append(out[g.Name], g)
		for _, member := range g.Members {
			group[member] = g.Name
		}
	}
	for _, inst := range c.Instances {
		name := inst.Name
		if g, ok := group[name]; ok {
			name = g
		}
		out[name] = append(out[name], inst)
	}
	return out
}

// withBlockMeant adds to a refusal of Set how the block is called that a bare
// name means, when exactly one block of the document has that name.
func withBlockMeant(err error, doc *syntax.Document, name string, nodes []string) error {
	var paths []string
	for _, node := range nodes {
		statements, _ := doc.Expand(syntax.Options{Node: node})
		for _, s := range statements {
			if s.Block && len(s.Args) == 1 && s.Args[0].Text == name && !slices.Contains(paths, s.Path()) {
				paths = append(paths, s.Path())
			}
		}
	}
	if len(paths) != 1 {
		return err
	}
	r := refused("%v", err)
	r.remedy = "did you mean '" + paths[0] + "'?"
	return r
}
