package incident

import "testing"

// What a node with 255 units and two others pays for each look.
func BenchmarkStepOf255Units(b *testing.B) {
	w := world{units: 255, stays: []stay{{node: "lb1", from: -60, to: forever, priority: 150}}}
	in := w.see("lb3", 1)
	t := NewTracker("lb3", 3)
	for b.Loop() {
		t.Step(&in)
	}
}
