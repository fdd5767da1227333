package alert

import "time"

// Severity orders alerts.
type Severity uint8

// Severities.
const (
	Info Severity = iota
	Warning
	Critical
)

func (s Severity) String() string { return [...]string{"info", "warning", "critical"}[s] }

// Alert is one condition that a person should know of. It is a value.
type Alert struct {
	ID       string // the same as long as the condition lasts, such as split_brain/VI_1
	Kind     string // vrrp_channel_lost, split_brain, foreign_master, ...
	Severity Severity
	Node     string
	Unit     string // empty: the node's
	Since    time.Time
	Resolved time.Time // zero: open
	Summary  string    // one line
	Evidence []string  // what was seen, by which channel, how long ago
	Remedy   string    // what to do
}
