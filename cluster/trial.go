package cluster

import "github.com/hacluster/hacluster/cluster/mesh"

// Trial tries whether heartbeats pass between nodes, before a node has any to send.
// The zero Trial sends none.
type Trial struct {
	mesh func() (*mesh.Mesh, error)
}

func (t Trial) running() (*mesh.Mesh, error) {
	if t.mesh == nil {
		return nil, mesh.ErrStopped
	}
	return t.mesh()
}

// Try sends a trial with that number to members; see mesh.Mesh.Try.
func (t Trial) Try(id uint64, members []string) error {
	m, err := t.running()
	if err != nil {
		return err
	}
	return m.Try(id, members)
}

// Tried returns of whom the trial with that number has come.
func (t Trial) Tried(id uint64) []string {
	m, err := t.running()
	if err != nil {
		return nil
	}
	return m.Tried(id)
}

// Trial is a member's; while the node is none it fails.
func (c *Cluster) Trial() Trial { return Trial{c.runningMesh} }
