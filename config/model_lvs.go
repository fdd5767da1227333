package config

import (
	"net/netip"
	"time"
)

// VirtualServer is one virtual_server block, with what its real servers and
// checkers inherit already handed down to them.
type VirtualServer struct {
	// Name is what stands behind the word: "192.0.2.1 80", "fwmark 5", "group G".
	// It tells virtual servers apart together with Protocol.
	Name string

	// One of Address, Fwmark and Group is set.
	Address netip.AddrPort // port 0: every port, which needs persistence
	Fwmark  uint32
	Group   string // of Config.ServerGroups

	IPv6      bool     // the family of clients: of Address, of Fwmark, of the entries of Group without their own
	Protocol  Protocol // empty only of a Fwmark
	Scheduler string   // lvs_sched, as the kernel names it; wlc
	Flags     SchedulerFlags

	PersistenceEngine  string        // sip; empty: clients are known by their address
	PersistenceTimeout time.Duration // whole seconds, 1 s to 31 days; 0: no persistence
	PersistenceBits    int           // persistence_granularity, 1 to 32 or 128; 0: all of the address

	Quorum               int // the least weight of the servers that are up, 1 or more
	Hysteresis           int // below Quorum
	QuorumUp, QuorumDown Command
	Alpha                bool // a lost quorum is assumed at the start
	Omega                bool // quorum_down and notify_down are run at the end
	HASuspend            bool // checks rest while the address is not on this machine; never with marks
	SMTPAlert            bool

	SorryServer        netip.AddrPort // zero: none
	SorryServerForward Forward
	SorryServerInhibit bool

	RealServers []RealServer // in document order, at least one
}

// Protocol is the transport protocol of a virtual server.
type Protocol string

// The protocols that IPVS balances.
const (
	TCP  Protocol = "TCP"
	UDP  Protocol = "UDP"
	SCTP Protocol = "SCTP"
)

// SchedulerFlags change how a service is scheduled. Of the schedulers sh and mh
// Flag1 is "fallback" and Flag2 "port".
type SchedulerFlags struct{ OnePacket, Flag1, Flag2, Flag3 bool }

// Forward is lvs_method: how packets come to a real server.
type Forward struct {
	Method Method
	// Of TUN:
	Tunnel   Tunnel
	Port     uint16 // of gue
	Checksum Checksum
}

// Method is the word of lvs_method.
type Method string

// Methods.
const (
	NAT Method = "NAT"
	DR  Method = "DR"
	TUN Method = "TUN"
)

// Tunnel is the encapsulation of TUN.
type Tunnel string

// Tunnels.
const (
	IPIP Tunnel = "ipip"
	GUE  Tunnel = "gue"
	GRE  Tunnel = "gre"
)

// Checksum is what is summed of packets in a tunnel.
type Checksum string

// Checksums. An ipip tunnel has none, a gre tunnel no RemoteChecksum.
const (
	NoChecksum     Checksum = "nocsum"
	OuterChecksum  Checksum = "csum"
	RemoteChecksum Checksum = "remcsum"
)

// RealServer is one real_server block.
type RealServer struct {
	// Port 0 is the port of each service, and so it is with DR and TUN whatever
	// stands here: of an address the entry's, of a mark each packet's own.
	Address          netip.AddrPort
	Weight           int // 0 to 2147483647; 0: no new connections
	Forward          Forward
	UpperThreshold   int // uthreshold; 0: none
	LowerThreshold   int // lthreshold, at most UpperThreshold; 0: three quarters of it
	InhibitOnFailure bool
	NotifyUp         Command
	NotifyDown       Command
	SMTPAlert        bool
	Checkers         []Checker // in document order; up when all are; none: always up
}

// CheckerKind is the word of a checker.
type CheckerKind string

// Kinds of checkers.
const (
	TCPCheck  CheckerKind = "TCP_CHECK"
	HTTPGet   CheckerKind = "HTTP_GET"
	SSLGet    CheckerKind = "SSL_GET"
	SMTPCheck CheckerKind = "SMTP_CHECK"
	DNSCheck  CheckerKind = "DNS_CHECK"
	MiscCheck CheckerKind = "MISC_CHECK"
	UDPCheck  CheckerKind = "UDP_CHECK"
	PingCheck CheckerKind = "PING_CHECK"
	FileCheck CheckerKind = "FILE_CHECK"
)

// Checker is one checker of a real server, with all that it inherits.
type Checker struct {
	Kind CheckerKind

	// Connect is connect_ip and connect_port, by default the real server's. It is
	// zero of MISC_CHECK and FILE_CHECK, as are the next four.
	Connect        netip.AddrPort
	Bind           netip.AddrPort // bindto and bind_port; either may be missing
	BindInterface  string         // bind_if
	Fwmark         uint32
	ConnectTimeout time.Duration // 5 s

	// How often is asked. Of FILE_CHECK only Alpha counts, the rest is zero.
	DelayLoop        time.Duration // 60 s
	DelayBeforeRetry time.Duration // 1 s; HTTP_GET and SSL_GET 3 s, DNS_CHECK DelayLoop
	Retry            int           // 1; MISC_CHECK 0, DNS_CHECK 3
	Warmup           time.Duration // DelayLoop; 0: none
	Alpha            bool
	LogAllFailures   bool

	Helo string     // helo_name of SMTP_CHECK; empty: the address
	HTTP *HTTPCheck // of HTTP_GET and SSL_GET
	DNS  *DNSQuery
	Misc *MiscProgram
	UDP  *UDPExchange
	File *FileValue
}

// HTTPCheck is what only HTTP_GET and SSL_GET have.
type HTTPCheck struct {
	URLs        []URL  // in document order, at least one
	VirtualHost string // empty: the address
	Protocol    string // http_protocol: 1.0, 1.0C, 1.1, or 2, which is hacluster's own
	// ServerName is sent in the TLS handshake: sni_name, or with enable_sni
	// virtualhost. Empty: nothing.
	ServerName   string
	TLSCompliant bool
}

// URL is one url block.
type URL struct {
	Path        string
	Digest      string        // 32 hexadecimal digits, lower case; empty: any
	Status      []StatusRange // status_code; never empty
	VirtualHost string        // empty: the checker's

	Regex          string // empty: any body
	RegexOptions   []string
	RegexNoMatch   bool
	RegexMinOffset int
	RegexMaxOffset int // 0: none
	TLSCompliant   bool
}

// StatusRange are status codes, both ends included.
type StatusRange struct{ First, Last int }

// DNSQuery is what only DNS_CHECK has.
type DNSQuery struct {
	Type string // SOA
	Name string // . is the root
}

// MiscProgram is what only MISC_CHECK has.
type MiscProgram struct {
	Command Command       // misc_path and user
	Timeout time.Duration // misc_timeout; DelayLoop
	Dynamic bool          // misc_dynamic
}

// UDPExchange is what only UDP_CHECK has.
type UDPExchange struct {
	Payload      []byte // empty: random bytes
	RequireReply bool
	// Reply is compared with the start of the reply, but for the bits that are
	// set in ReplyMask, which is as long.
	Reply, ReplyMask   []byte
	MinReply, MaxReply int // lengths; 0 and 255
}

// FileValue is what FILE_CHECK has: a number in a file. With Weight 0 the
// server is up while it is 0; else the number times Weight is added to the
// server's weight, or with Reverse subtracted.
type FileValue struct {
	Path    string // of the track_file
	Weight  int
	Reverse bool
}

// TrackFile is one track_file block.
type TrackFile struct {
	Name    string
	File    string // a path
	Weight  int    // -254 to 254; 1
	Reverse bool
}

// ServerGroup is one virtual_server_group block.
type ServerGroup struct {
	Name    string
	Entries []ServerGroupEntry // in document order, at least one
}

// ServerGroupEntry is one line of a virtual_server_group: the addresses from
// First to Last, both included, or a firewall mark.
type ServerGroupEntry struct {
	First, Last netip.Addr
	Port        uint16 // 0: every port

	Fwmark uint32
	Family string // of Fwmark: inet, inet6, or empty: the virtual server's
}

// SyncDaemon is lvs_sync_daemon: the kernel's synchronization of connections.
type SyncDaemon struct {
	Interface string // empty: none
	Instance  string // the daemon's role follows its state; empty: both roles
	ID        int    // 0 to 255; Instance's virtual_router_id, or 0
	MaxLen    int    // 1 to 65507; 0: what the interface carries
	Port      uint16 // 8848
	TTL       int    // 1
	Group     netip.Addr
}

// LVSTimeouts is lvs_timeouts: after how long without packets the kernel forgets
// a connection. Nil: as the kernel has it.
type LVSTimeouts struct{ TCP, TCPFin, UDP *time.Duration }
