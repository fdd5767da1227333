package desired

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/vrrp"
)

// State is what one node should run. It is a value that compares with
// reflect.DeepEqual.
type State struct {
	Daemon    Daemon
	Units     []Unit
	Scripts   []Script       // tracked ones only, by name
	Addresses []vrrp.Address // present regardless of any state
	Routes    []vrrp.Route   // present regardless of any state
	Mesh      Mesh
	Alerts    Alerts
	Balance   Balance
}

// Daemon is what concerns the process as a whole.
type Daemon struct {
	RouterID             string // never empty: the node's name by default
	StartupDelay         time.Duration
	DelayAfterBoot       time.Duration
	ScriptUser           User
	EnableScriptSecurity bool
	Mail                 Mail
}

// Mail is how notifications are mailed. Without Server or To there is none.
type Mail struct {
	Server        string
	Port          uint16
	Helo          string
	From          string
	To            []string
	Timeout       time.Duration
	NoEmailFaults bool
}

// Unit is one unit with everything around it.
type Unit struct {
	Spec      vrrp.UnitSpec
	Notify    Notify            // the sync group's; empty for an instance in none
	SMTPAlert bool              // the sync group's
	Instances map[string]Notify // by instance name
	Alerts    map[string]bool   // smtp_alert, by instance name

	SplitBrain SplitBrain
}

// SplitBrain is how conflicts about a unit are settled.
type SplitBrain struct {
	Policy        string        // "mesh", "quorum" or "off"
	Lease         time.Duration // never 0
	KernelLease   bool
	AllowForeign  []netip.Addr
	FollowForeign bool
	Fencing       Fencing
}

// Fencing is how a node that does not let go of the unit is switched off. Without
// Agents it never is.
type Fencing struct {
	Agents  []FenceAgent  // by node
	After   time.Duration // how long the target holds against the rules before it is fenced
	First   string        // with two nodes and policy mesh: who fences at once; empty: nobody fences
	Delay   time.Duration // how long the other node waits; longer than Timeout
	Timeout time.Duration // for one run of an agent
}

// FenceAgent is the agent that fences one node, by the convention of ClusterLabs.
type FenceAgent struct {
	Node    string // the target
	Program string // a name to look for in run.Path, or a path
	Action  string // "reboot" or "off"
	Options []FenceOption
}

// FenceOption is one option of an agent.
type FenceOption struct {
	Name, Value string
	Secret      bool // the value is not to be shown
}

// String hides a secret.
func (o FenceOption) String() string {
	if o.Secret {
		return o.Name + "=***"
	}
	return o.Name + "=" + o.Value
}

// LogValue hides a secret.
func (o FenceOption) LogValue() slog.Value { return slog.StringValue(o.String()) }

// Mesh is how nodes hear each other.
type Mesh struct {
	HeartbeatInterval time.Duration
	Interface         string // empty: the one that leads to the advertised address
	GatewayProbe      []netip.Addr
	AloneAfter        time.Duration
}

// Alerts is whom the alerts of this node are told.
type Alerts struct {
	Level    string  // the least urgent that are told: "info", "warning" or "critical"
	Script   Command // empty Argv: none
	Webhooks []string
	Email    []string // by Daemon.Mail's server
}

// User is an account that a script runs as. An empty name is the default of the
// machine: keepalived_script if it exists, else root.
type User struct{ Name, Group string }

// Command is a program to run; empty Argv: none.
type Command struct {
	Argv []string
	User User
}

// Notify is what to run on changes of state. The runner appends to Any:
// INSTANCE or GROUP, the name, the state, the priority.
type Notify struct {
	Master, Backup, Fault, Stop, Deleted Command
	Any                                  Command
	MasterRxLowerPri                     Command
}

// Script is one health script. Its results go to the engine as
// vrrp.TrackResult with the key ScriptKey(Name).
type Script struct {
	Name     string
	Command  Command
	Interval time.Duration
	Timeout  time.Duration
	Rise     int  // successes needed to go up
	Fall     int  // failures needed to go down
	InitFail bool // starts failed instead of unknown
}

// ScriptKey is the track key of a health script.
func ScriptKey(name string) string { return "script:" + name }

// InterfaceKey is the track key of an interface.
func InterfaceKey(name string) string { return "interface:" + name }
