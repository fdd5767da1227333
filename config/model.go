package config

import (
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/config/syntax"
)

// Config is what a document says for one node, with every default filled in.
// It is a value: nothing changes it after Compile, and two nodes with the same
// configuration have equal Configs but for Node and the places.
type Config struct {
	Node      string
	Global    Global
	Cluster   Cluster
	Instances []Instance  // in document order
	Groups    []SyncGroup // in document order
	Scripts   []Script    // in document order; also those that nobody tracks
	Addresses []Address   // static_ipaddress
	Routes    []Route     // static_routes

	VirtualServers []VirtualServer // in document order
	ServerGroups   []ServerGroup   // in document order
	TrackFiles     []TrackFile     // in document order

	places map[string]syntax.Pos // of blocks and statements, by place key
}

// Place returns where a block or one of its statements stands: Place("vrrp_instance
// VI_1"), Place("vrrp_instance VI_1", "priority"). Without such a statement it
// is the block's place; without the block the zero value.
func (c *Config) Place(path string, word ...string) syntax.Pos {
	for _, w := range word {
		if p, ok := c.places[path+"\x00"+w]; ok {
			return p
		}
	}
	return c.places[path]
}

// Global is the global_defs block.
type Global struct {
	RouterID          string // empty: the host name
	NotificationEmail []string
	EmailFrom         string
	SMTPServer        string // host or address, empty: no mail
	SMTPPort          uint16 // 25
	SMTPHelo          string
	SMTPTimeout       time.Duration // 30 s
	SMTPAlert         *bool         // smtp_alert_vrrp, else smtp_alert; nil: said nowhere
	NoEmailFaults     bool

	ScriptUser           User // zero: keepalived_script if that account exists, else root
	EnableScriptSecurity bool

	MulticastGroup4  netip.Addr    // 224.0.0.18
	MulticastGroup6  netip.Addr    // ff02::12
	DefaultInterface string        // for static addresses and routes without dev; eth0
	StartupDelay     time.Duration // vrrp_startup_delay
	DelayAfterBoot   time.Duration // vrrp_delay_after_boot

	SyncDaemon  SyncDaemon  // lvs_sync_daemon
	LVSTimeouts LVSTimeouts // lvs_timeouts
}

// User is an account that a script runs as. Empty: the default.
type User struct{ Name, Group string }

// Command is a program with its arguments; empty Argv: none.
type Command struct {
	Argv []string
	User User // with script_user already filled in
}

// Instance is one vrrp_instance block.
type Instance struct {
	Name             string
	StartMaster      bool
	Interface        string
	VRID             int // 1 to 255
	Version          int // 2 or 3
	IPv6             bool
	Priority         int           // 1 to 255
	AdvertInterval   time.Duration // 10 ms to 255 s; whole seconds in version 2
	DownTimerAdverts int           // 1 to 100

	Addresses []Address // virtual_ipaddress
	Excluded  []Address // virtual_ipaddress_excluded
	Routes    []Route   // virtual_routes

	AuthType string // "", PASS or AH
	AuthPass string // at most 8 bytes

	Preempt              bool
	PreemptDelay         time.Duration // 0 to 1000 s
	LowerPrioNoAdvert    bool
	HigherPrioSendAdvert bool
	OwnerIgnoreAdverts   bool

	Source               netip.Addr // unicast_src_ip or mcast_src_ip
	TrackSource          bool
	MulticastGroup       netip.Addr // mcast_dst_ip, else the global group of the family
	Unicast              bool
	Peers                []Peer
	UnicastTTL           int // 0: 255
	CheckUnicastSource   bool
	OldUnicastChecksum   bool
	NoOldUnicastChecksum bool // old_unicast_checksum never
	V3ChecksumAsV2       bool
	SkipCheckAddresses   bool
	DontTrackPrimary     bool
	Tracks               []Track // track_interface and track_script
	Announce             Announce
	Notify               Notify
	SMTPAlert            bool
	SplitBrain           SplitBrain
}

// SyncGroup is one vrrp_sync_group block. Its tracks are added to each member's.
type SyncGroup struct {
	Name       string
	Members    []string // names of instances, in document order
	Tracks     []Track
	Notify     Notify
	SMTPAlert  bool
	SplitBrain SplitBrain
}

// Track is one line of track_interface or track_script.
type Track struct {
	Kind    TrackKind
	Name    string
	Weight  int // -253 to 253; 0: FAULT while down
	Reverse bool

	at      syntax.Pos
	inherit bool // no weight of its own was given: the script's counts
}

// TrackKind is what a Track watches.
type TrackKind string

// Kinds of tracks.
const (
	TrackInterface TrackKind = "interface"
	TrackScript    TrackKind = "script"
)

// Peer is one line of unicast_peer.
type Peer struct {
	Addr           netip.Addr
	MinTTL, MaxTTL int // MaxTTL 0: not checked
}

// Address is one address line.
type Address struct {
	Prefix    netip.Prefix
	Interface string     // of `dev`; empty: the instance's, or default_interface
	Label     string     // IPv4 label
	Scope     uint8      // rtnetlink scope
	Broadcast netip.Addr // zero: none; the unspecified address: derive it (`brd +`)
	Peer      netip.Prefix
}

// Route is one route line.
type Route struct {
	Type      string // "", or blackhole, unreachable, prohibit, throw
	Dst       netip.Prefix
	Via       netip.Addr
	Source    netip.Addr
	Interface string
	Table     int // 0: main
	Metric    int // 0: the kernel's default
	Scope     uint8
	OnLink    bool
}

// Announce is the pacing of gratuitous ARP and unsolicited neighbour
// advertisements: the garp_* words with the global defaults filled in.
type Announce struct {
	Repeat          int
	Delay           time.Duration // 0: no second burst
	Refresh         time.Duration // 0: off
	RefreshRepeat   int
	LowerPrioRepeat int
	LowerPrioDelay  time.Duration
	Interval        time.Duration // 0: no pacing
}

// Notify is the notify_* words of an instance or group.
type Notify struct {
	Master, Backup, Fault, Stop, Deleted Command
	Any                                  Command // notify: INSTANCE|GROUP, name, state and priority are appended
	MasterRxLowerPri                     Command
}

// Script is one vrrp_script block.
type Script struct {
	Name     string
	Command  Command
	Interval time.Duration
	Timeout  time.Duration // Interval by default
	Weight   int           // -253 to 253
	Reverse  bool
	Rise     int
	Fall     int
	InitFail bool // starts failed instead of unknown
}

// Cluster is hacluster's own block `cluster`.
type Cluster struct {
	HeartbeatInterval time.Duration // 10 ms to 10 s; 200 ms
	MeshInterface     string        // empty: the one that leads to the advertised address
	GatewayProbe      []netip.Addr  // empty: the default gateway
	AloneAfter        time.Duration // 1 s to 600 s; 30 s
	// LVSDrain is how long a real server that an edit removes may keep its connections,
	// 0 s to a day; 0 s: it goes at once, as keepalived has it.
	LVSDrain time.Duration
	// LVSAgree keeps a real server until a majority of the directors sees it down; off.
	LVSAgree bool
	Alerts   Alerts
}

// Alerts is whom each node tells its alerts: the alert_* words of `cluster`.
type Alerts struct {
	Script   Command
	Webhooks []string // http and https URLs, in document order
	Email    []string // alert_email, else notification_email; sent through smtp_server
	Level    Level    // the least urgent that are told; warning
}

// Level is how urgent an alert is.
type Level string

// Levels, the gravest last.
const (
	LevelInfo     Level = "info"
	LevelWarning  Level = "warning"
	LevelCritical Level = "critical"
)

// Policy is what decides who holds when nodes do not agree.
type Policy string

// Policies.
const (
	PolicyMesh   Policy = "mesh"   // the nodes' heartbeats
	PolicyQuorum Policy = "quorum" // a lease from a majority
	PolicyOff    Policy = "off"    // VRRP alone, as keepalived
)

// SplitBrain is hacluster's own block `split_brain`, of a unit.
type SplitBrain struct {
	Policy        Policy        // mesh
	Lease         time.Duration // 500 ms to 60 s; 0: derived from the advert interval
	KernelLease   bool          // on
	AllowForeign  []netip.Addr  // routers outside the cluster that may share the virtual router
	FollowForeign bool          // `foreign follow`; off with `foreign ignore`
	Fencing       Fencing
}

// Fencing is the fence_* words of split_brain. Without Agents nobody is fenced.
type Fencing struct {
	Agents  []FenceAgent  // in document order, one for each node
	After   time.Duration // 1 s to 600 s; 10 s: how long a target holds before it is fenced
	First   string        // with two nodes and policy mesh: the one that fences at once
	Delay   time.Duration // 6 s to 900 s; Timeout + 5 s: how long the other one waits
	Timeout time.Duration // 1 s to 300 s; 30 s: for one run of an agent
}

// FenceAgent is one fence_agent block: how to take the power from a node, by the
// convention of ClusterLabs.
type FenceAgent struct {
	Node    string // the target
	Program string // a name such as fence_ipmilan, or a path
	Action  FenceAction
	Options []FenceOption // in document order, without action
}

// FenceAction is what an agent does to its target.
type FenceAction string

// Actions.
const (
	FenceReboot FenceAction = "reboot"
	FenceOff    FenceAction = "off"
)

// FenceOption is one option of an agent. Its value may be a secret.
type FenceOption struct{ Name, Value string }

// Secret reports whether the value must not be shown, by the option's name.
func (o FenceOption) Secret() bool { return secretPatterns().name.MatchString(o.Name) }
