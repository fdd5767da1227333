package observed

import (
	"slices"
	"strings"
)

// gaps are the known gaps of all nodes, each named once with those that have it.
func (s *Snapshot) gaps() []string {
	var texts []string
	nodes := make(map[string][]string)
	for i := range s.Nodes {
		for _, gap := range s.Nodes[i].Gaps {
			if !slices.Contains(texts, gap) {
				texts = append(texts, gap)
			}
			nodes[gap] = append(nodes[gap], s.Nodes[i].Name)
		}
	}
	for i, gap := range texts {
		texts[i] = strings.Join(nodes[gap], ", ") + ": " + gap
	}
	return texts
}
