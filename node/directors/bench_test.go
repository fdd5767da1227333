package directors

import (
	"testing"

	"github.com/hacluster/hacluster/lvs/director"
)

// BenchmarkStep is a director that sees as many servers down as a step is given, which
// two others see up.
func BenchmarkStep(b *testing.B) {
	var servers []director.Seen
	for n := range director.MostSeen {
		servers = append(servers, seen(n, director.SeesDown))
	}
	calm := wordOf(sightOf())
	others := map[string]*word{"lb2": &calm, "lb3": &calm}
	var k tracker
	for b.Loop() {
		k.step(begin, "lb1", servers, others)
	}
}
