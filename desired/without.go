package desired

import (
	"slices"

	"github.com/hacluster/hacluster/vrrp"
)

// Without is the state with some health scripts left out: nobody runs them and
// nobody tracks them. It is what keepalived makes of scripts whose program does
// not exist. The receiver stays as it is.
func (s State) Without(scripts ...string) State {
	if len(scripts) == 0 {
		return s
	}
	s.Scripts = slices.DeleteFunc(slices.Clone(s.Scripts), func(sc Script) bool { return slices.Contains(scripts, sc.Name) })
	keys := make(map[string]bool, len(scripts))
	for _, name := range scripts {
		keys[ScriptKey(name)] = true
	}
	s.Units = slices.Clone(s.Units)
	for i := range s.Units {
		instances := slices.Clone(s.Units[i].Spec.Instances)
		for j := range instances {
			instances[j].Tracks = slices.DeleteFunc(slices.Clone(instances[j].Tracks), func(t vrrp.Track) bool { return keys[t.Key] })
		}
		s.Units[i].Spec.Instances = instances
	}
	return s
}
