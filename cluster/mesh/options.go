package mesh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"
)

// Default ports. Gossip shares its number with the cluster's TLS port.
const (
	GossipPort    = 7112
	HeartbeatPort = 7113
)

// Limits.
const (
	MaxPayload = 1200 // bytes in one heartbeat
	MaxMeta    = 512  // bytes that gossip tells of one member
	KeySize    = 32   // bytes of one key: AES-256
)

// Errors of Send, SetMembers and SetKeys.
var (
	ErrStopped       = errors.New("mesh is not running")
	ErrTooLong       = fmt.Errorf("payload is longer than %d bytes", MaxPayload)
	ErrUnknownMember = errors.New("no such member")
)

// Options are what a Mesh works with.
type Options struct {
	Name      string   // of this node, the same over restarts
	ClusterID string   // 1 to 255 bytes
	Keys      [][]byte // of KeySize bytes each; the first one encrypts, all decrypt
	Meta      []byte   // told to the other members, at most MaxMeta bytes

	// Advertise is where other members reach this node's gossip.
	Advertise netip.AddrPort
	// GossipListen and HeartbeatListen are local UDP addresses; by default all
	// addresses of both families, with the default ports.
	GossipListen    netip.AddrPort
	HeartbeatListen netip.AddrPort

	// Streams carries gossip's streams. Run closes it.
	Streams StreamLayer

	// ListenPacket opens a datagram socket; by default the kernel's UDP.
	ListenPacket func(netip.AddrPort) (PacketConn, error)

	// Receive gets each heartbeat. One goroutine calls it, and it must not
	// block: the next heartbeat waits.
	Receive func(Receipt)

	// Conflict is told when another node uses a member's name; may be nil. It
	// must not block or call the Mesh.
	Conflict func(name string, known, other netip.AddrPort)

	Logger *slog.Logger // default: slog.Default()
}

// Receipt is one heartbeat as it came in. Payload is valid during the call.
type Receipt struct {
	From    netip.AddrPort
	Path    string // local interface on which it came in; empty: not known
	Payload []byte
	At      time.Time
	More    bool // another one has come, and is handed on next
}

// Member is one other member as it is configured.
type Member struct {
	Name           string
	GossipAddr     netip.AddrPort
	HeartbeatAddrs []netip.AddrPort // one for each path
}

// StreamLayer carries streams between members, already authenticated and
// encrypted.
type StreamLayer interface {
	// Dial connects to a member, whose gossip address is given as a hint.
	Dial(ctx context.Context, member string, gossip netip.AddrPort) (net.Conn, error)
	// Accept waits for the next stream; net.ErrClosed after Close.
	Accept() (net.Conn, error)
	Close() error
}

// PacketConn is a datagram socket.
type PacketConn interface {
	// ReadFrom waits for a datagram; net.ErrClosed after Close. The interface
	// is the local one, empty when it is not known.
	ReadFrom(b []byte) (n int, from netip.AddrPort, iface string, err error)
	// WriteTo sends without waiting.
	WriteTo(b []byte, to netip.AddrPort) error
	LocalAddr() netip.AddrPort
	Close() error
}

func (o *Options) check() error {
	switch {
	case o.Name == "":
		return errors.New("mesh: the node has no name")
	case len(o.ClusterID) == 0 || len(o.ClusterID) > 255:
		return fmt.Errorf("mesh: cluster id has %d bytes; use 1 to 255", len(o.ClusterID))
	case len(o.Meta) > MaxMeta:
		return fmt.Errorf("mesh: meta has %d bytes; use at most %d", len(o.Meta), MaxMeta)
	case !o.Advertise.IsValid() || o.Advertise.Addr().IsUnspecified() || o.Advertise.Port() == 0:
		return fmt.Errorf("mesh: gossip cannot advertise %v; give an address and port that the others reach", o.Advertise)
	case o.Streams == nil:
		return errors.New("mesh: no layer for streams")
	}
	return checkKeys(o.Keys)
}

func checkKeys(keys [][]byte) error {
	if len(keys) == 0 {
		return errors.New("mesh: no key")
	}
	for i, key := range keys {
		if len(key) != KeySize {
			return fmt.Errorf("mesh: key %d has %d bytes, not %d", i+1, len(key), KeySize)
		}
		if slices.ContainsFunc(keys[:i], func(k []byte) bool { return string(k) == string(key) }) {
			return fmt.Errorf("mesh: key %d is given twice", i+1)
		}
	}
	return nil
}

// withDefaults fills in what is not set.
func (o Options) withDefaults() Options {
	any := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(netip.IPv6Unspecified(), port) }
	if !o.GossipListen.IsValid() {
		o.GossipListen = any(GossipPort)
	}
	if !o.HeartbeatListen.IsValid() {
		o.HeartbeatListen = any(HeartbeatPort)
	}
	if o.ListenPacket == nil {
		o.ListenPacket = ListenUDP
	}
	if o.Receive == nil {
		o.Receive = func(Receipt) {}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}
