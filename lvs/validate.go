package lvs

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Desired is what the kernel should hold.
type Desired struct {
	Services []Service
	Sync     []SyncDaemon
	// Drain is how long a server that is wanted no more may keep its connections;
	// zero: not at all.
	Drain time.Duration
}

const (
	maxName    = 15                  // IP_VS_SCHEDNAME_MAXLEN, IP_VS_PENAME_MAXLEN, less the end
	maxTimeout = 31 * 24 * time.Hour // beyond it the kernel's jiffies may overflow
	maxSyncLen = 65507               // of a UDP datagram
)

// Validate returns all that no kernel takes, and what would be taken but do
// other than it says. Whether this kernel has a scheduler, only it can tell.
func (d Desired) Validate() error {
	var errs []error
	seen := make(map[Key]bool, len(d.Services))
	var mixed Key
	for _, s := range d.Services {
		if seen[s.Key] {
			errs = append(errs, fmt.Errorf("%v: listed twice", s.Key))
		}
		seen[s.Key] = true
		for _, err := range s.problems() {
			errs = append(errs, fmt.Errorf("%v: %w", s.Key, err))
		}
		if s.mixed() {
			mixed = s.Key
		}
	}
	roles := make(map[Role]bool)
	for _, sync := range d.Sync {
		if roles[sync.Role] {
			errs = append(errs, fmt.Errorf("sync daemon: %v listed twice", sync.Role))
		}
		roles[sync.Role] = true
		for _, err := range sync.problems() {
			errs = append(errs, fmt.Errorf("sync daemon %v: %w", sync.Role, err))
		}
	}
	if len(d.Sync) > 0 && mixed != (Key{}) {
		errs = append(errs, fmt.Errorf("%v: a server of another family excludes connection synchronization; use servers of one family or no sync daemon", mixed))
	}
	if d.Drain < 0 {
		errs = append(errs, fmt.Errorf("drain %v is negative; use 0 or more", d.Drain))
	}
	return errors.Join(errs...)
}

func (s Service) problems() (errs []error) {
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := s.Key.problem(); err != nil {
		return []error{err}
	}
	if n := len(s.Scheduler); n == 0 || n > maxName {
		add("scheduler %q has %d characters; use 1 to %d", s.Scheduler, n, maxName)
	}
	p, bits := s.Persistence, hostBits(s.Family())
	switch {
	case p.Timeout < 0 || p.Timeout > maxTimeout || p.Timeout%time.Second != 0:
		add("persistence timeout %v is out of range; use whole seconds up to 31 days", p.Timeout)
	case p.Timeout == 0 && p.Engine != "":
		add("persistence engine %s without persistence; give a timeout", p.Engine)
	case p.Timeout == 0 && s.Mark == 0 && s.Address.Port() == 0:
		add("port 0 without persistence; name a port or give a persistence timeout")
	}
	if len(p.Engine) > maxName {
		add("persistence engine %q has %d characters; use up to %d", p.Engine, len(p.Engine), maxName)
	}
	if p.MaskBits > bits {
		add("persistence mask /%d is out of range; use 1 to %d", p.MaskBits, bits)
	}
	if s.Flags&OnePacket != 0 && s.Mark == 0 && s.Protocol != UDP {
		add("one-packet scheduling is for udp only")
	}
	seen := make(map[netip.AddrPort]bool, len(s.Servers))
	for _, server := range s.Servers {
		if seen[server.Address] {
			add("server %v: listed twice", server.Address)
		}
		seen[server.Address] = true
		for _, err := range server.problems(s.Key) {
			add("server %v: %w", server.Address, err)
		}
	}
	return errs
}

func (k Key) problem() error {
	addr := k.Address.Addr()
	switch {
	case k.Mark != 0 && (k.Protocol != 0 || k.Address != netip.AddrPort{}):
		return errors.New("has a mark and an address; use one of them")
	case k.Mark != 0 && k.MarkFamily != IPv4 && k.MarkFamily != IPv6:
		return fmt.Errorf("family %d of the mark is unknown; use 4 or 6", uint8(k.MarkFamily))
	case k.Mark != 0:
		return nil
	case k.MarkFamily != 0:
		return errors.New("has the family of a mark but no mark")
	case k.Protocol != TCP && k.Protocol != UDP && k.Protocol != SCTP:
		return fmt.Errorf("protocol %v is not balanced; use tcp, udp or sctp", k.Protocol)
	}
	return addressProblem(addr)
}

// addressProblem is what makes an address useless for a service or server.
func addressProblem(a netip.Addr) error {
	switch {
	case !a.IsValid() || a.IsUnspecified():
		return errors.New("has no address")
	case a.Is4In6():
		return fmt.Errorf("address %v is IPv4 in IPv6; use %v", a, a.Unmap())
	case a.Zone() != "":
		return fmt.Errorf("address %v has a zone, which IPVS does not have; use one without", a)
	case a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("address %v is not one machine's; use a unicast address", a)
	}
	return nil
}

func (s Server) problems(service Key) (errs []error) {
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	addr := s.Address.Addr()
	if err := addressProblem(addr); err != nil {
		return []error{err}
	}
	if addr.Is6() && addr.IsLinkLocalUnicast() {
		add("a link-local address has no interface here; use a global or unique local one")
	}
	if s.Method != NAT && s.Method != TUN && s.Method != DR {
		add("forwarding method %d is unknown; use NAT, DR or TUN", uint8(s.Method))
	}
	if familyOf(addr) != service.Family() && s.Method != TUN {
		add("%v cannot reach another family than the service's; use TUN", s.Method)
	}
	if s.Method != NAT && service.Mark == 0 && s.Address.Port() != service.Address.Port() {
		add("%v leaves the port as it is; use port %d, or NAT", s.Method, service.Address.Port())
	}
	if s.Method == TUN {
		errs = append(errs, s.Tunnel.problems()...)
	}
	if s.Weight > MaxWeight {
		add("weight %d is out of range; use 0 to %d", s.Weight, MaxWeight)
	}
	if s.LowerThreshold > s.UpperThreshold {
		add("lower threshold %d is above the upper one, %d", s.LowerThreshold, s.UpperThreshold)
	}
	return errs
}

func (t Tunnel) problems() (errs []error) {
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case t.Type > GRE:
		add("tunnel type %d is unknown; use ipip, gue or gre", uint8(t.Type))
	case t.Type == GUE && t.Port == 0:
		add("a gue tunnel needs a port; use 1 to 65535")
	case t.Type != GUE && t.Port != 0:
		add("tunnel port %d is for gue only", t.Port)
	}
	switch {
	case t.Checksum > RemoteChecksum:
		add("tunnel checksum %d is unknown", uint8(t.Checksum))
	case t.Checksum != NoChecksum && t.Type == IPIP, t.Checksum == RemoteChecksum && t.Type == GRE:
		add("this checksum is not for %v tunnels", t.Type)
	}
	return errs
}

// mixed reports whether a server is of another family than the service.
func (s Service) mixed() bool {
	for _, server := range s.Servers {
		if familyOf(server.Address.Addr()) != s.Family() {
			return true
		}
	}
	return false
}

func (d SyncDaemon) problems() (errs []error) {
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if d.Role != SyncMaster && d.Role != SyncBackup {
		add("unknown; use master or backup")
	}
	if n := len(d.Interface); n == 0 || n > maxName {
		add("interface %q has %d characters; use 1 to %d", d.Interface, n, maxName)
	}
	if d.Group.IsValid() && !d.Group.IsMulticast() {
		add("group %v is not multicast", d.Group)
	}
	if d.MaxLen > maxSyncLen {
		add("maxlen %d is out of range; use 1 to %d", d.MaxLen, maxSyncLen)
	}
	return errs
}
