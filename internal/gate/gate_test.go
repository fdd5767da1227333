package gate

import "testing"

func TestKernelTakesThePrograms(t *testing.T) {
	m := newMachine(t)
	peer := newMachine(t)
	cable(m, "eth0", peer, "eth0")
	g := m.gate(nil)
	if err := g.Guards(m.index("eth0")); err != nil {
		t.Error(err)
	}
	if g.Guards(m.index("lo")) == nil {
		t.Error("the loopback is guarded")
	}
}
