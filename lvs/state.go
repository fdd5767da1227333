package lvs

// ServiceState is a service as it is in the kernel.
type ServiceState struct {
	Key
	Settings
	Servers  []ServerState
	Counters Counters
}

// ServerState is a server as it is in the kernel.
type ServerState struct {
	Server
	Connections Connections
	Counters    Counters
}

// Connections are those that a server has now.
type Connections struct {
	Active     uint32 // established, by what the director sees
	Inactive   uint32 // all others: half open, ending, and all of UDP
	Persistent uint32 // clients that are remembered
}

// Counters are totals since the entry was made or set to zero, and rates over
// the last seconds. The kernel brings them up to date every two seconds.
type Counters struct {
	Connections, InPackets, OutPackets, InBytes, OutBytes uint64

	ConnectionsPerSecond, InPacketsPerSecond, OutPacketsPerSecond uint64
	InBytesPerSecond, OutBytesPerSecond                           uint64
}

// Add adds what others counted.
func (c *Counters) Add(o Counters) {
	c.Connections += o.Connections
	c.InPackets += o.InPackets
	c.OutPackets += o.OutPackets
	c.InBytes += o.InBytes
	c.OutBytes += o.OutBytes
	c.ConnectionsPerSecond += o.ConnectionsPerSecond
	c.InPacketsPerSecond += o.InPacketsPerSecond
	c.OutPacketsPerSecond += o.OutPacketsPerSecond
	c.InBytesPerSecond += o.InBytesPerSecond
	c.OutBytesPerSecond += o.OutBytesPerSecond
}

// Add adds connections of another entry.
func (c *Connections) Add(o Connections) {
	c.Active += o.Active
	c.Inactive += o.Inactive
	c.Persistent += o.Persistent
}
