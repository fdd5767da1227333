//go:build guest

package ipvs_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	moby "github.com/moby/ipvs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/ipvs"
)

// namespace opens the table of a new network namespace, in which the calling
// goroutine stays: lo is up and has some addresses, and a dummy link leads to
// all others.
func namespace(t *testing.T) *ipvs.Kernel {
	t.Helper()
	runtime.LockOSThread() // for good: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	link(t, &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: "net0"}}, "10.0.0.254/8", "2001:db8::fe/32")
	link(t, nil, "192.0.2.1/32")
	k, err := ipvs.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// link makes a link, or takes lo if it is nil, and brings it up with addresses.
func link(t *testing.T, l netlink.Link, addresses ...string) {
	t.Helper()
	var err error
	if l != nil {
		err = netlink.LinkAdd(l)
	} else {
		l, err = netlink.LinkByName("lo")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(l); err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		addr, err := netlink.ParseAddr(a)
		if err != nil {
			t.Fatal(err)
		}
		addr.Flags = unix.IFA_F_NODAD
		if err := netlink.AddrAdd(l, addr); err != nil {
			t.Fatal(err)
		}
	}
}

// write carries out operations, none of which may be refused.
func write(t *testing.T, k *ipvs.Kernel, ops ...lvs.Op) {
	t.Helper()
	refused, err := k.Write(t.Context(), ops)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range refused {
		t.Errorf("refused: %v", r)
	}
}

// read returns what is in the kernel, as what can be wanted, in order.
func read(t *testing.T, k *ipvs.Kernel, keys ...lvs.Key) []lvs.Service {
	t.Helper()
	states, err := k.Read(t.Context(), keys...)
	if err != nil {
		t.Fatal(err)
	}
	var services []lvs.Service
	for _, s := range states {
		out := lvs.Service{Key: s.Key, Settings: s.Settings}
		for _, r := range s.Servers {
			out.Servers = append(out.Servers, r.Server)
		}
		slices.SortFunc(out.Servers, func(a, b lvs.Server) int { return a.Address.Compare(b.Address) })
		services = append(services, out)
	}
	slices.SortFunc(services, func(a, b lvs.Service) int { return a.Compare(b.Key) })
	return services
}

// ipvsadm runs the program and returns its lines in order.
func ipvsadm(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("/sbin/ipvsadm", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ipvsadm %s: %v: %s", strings.Join(args, " "), err, out)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		lines = append(lines, strings.TrimSpace(line))
	}
	slices.Sort(lines)
	return lines
}

// saved is what ipvsadm -Sn says, with the thresholds, which only another of its
// listings has.
func saved(t *testing.T) []string {
	t.Helper()
	lines := ipvsadm(t, "-Sn")
	for _, row := range ipvsadm(t, "-ln", "--thresholds") {
		// -> 10.0.0.1:8080  100000  5  0  0
		f := strings.Fields(row)
		if len(f) != 6 || f[0] != "->" || f[2] == "0" {
			continue
		}
		for i, line := range lines {
			if strings.Contains(line, " -r "+f[1]+" ") {
				lines[i] += " -x " + f[2] + " -y " + f[3]
			}
		}
	}
	return lines
}

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func tcp(s string) lvs.Key { return lvs.Key{Protocol: lvs.TCP, Address: addr(s)} }

// everyField is one service with all that it can have, and what ipvsadm -Sn says
// of it.
var everyField = []struct {
	service lvs.Service
	ipvsadm []string
}{{
	service: lvs.Service{
		Key: tcp("192.0.2.1:80"), Settings: lvs.Settings{Scheduler: "wlc"},
		Servers: []lvs.Server{
			{Address: addr("10.0.0.1:8080"), Weight: 70000, UpperThreshold: 100000, LowerThreshold: 5},
			{Address: addr("10.0.0.2:80"), Method: lvs.DR, Weight: lvs.MaxWeight},
			{Address: addr("10.0.0.3:80"), Method: lvs.TUN},
			{Address: addr("10.0.0.4:80"), Method: lvs.TUN, Weight: 1, Tunnel: lvs.Tunnel{Type: lvs.GUE, Port: 6080, Checksum: lvs.OuterChecksum}},
			{Address: addr("10.0.0.5:80"), Method: lvs.TUN, Weight: 1, Tunnel: lvs.Tunnel{Type: lvs.GRE, Checksum: lvs.OuterChecksum}},
			{Address: addr("10.0.0.6:80"), Method: lvs.TUN, Weight: 1, Tunnel: lvs.Tunnel{Type: lvs.GUE, Port: 6081, Checksum: lvs.RemoteChecksum}},
			{Address: addr("192.0.2.1:80"), Method: lvs.DR, Weight: 2}, // this machine itself
			{Address: addr("[2001:db8::7]:80"), Method: lvs.TUN, Weight: 3},
		},
	},
	ipvsadm: []string{
		"-A -t 192.0.2.1:80 -s wlc",
		"-a -t 192.0.2.1:80 -r 10.0.0.1:8080 -m -w 70000 -x 100000 -y 5",
		"-a -t 192.0.2.1:80 -r 10.0.0.2:80 -g -w 2147483647",
		"-a -t 192.0.2.1:80 -r 10.0.0.3:80 -i -w 0 --tun-type ipip",
		"-a -t 192.0.2.1:80 -r 10.0.0.4:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum",
		"-a -t 192.0.2.1:80 -r 10.0.0.5:80 -i -w 1 --tun-type gre --tun-csum",
		"-a -t 192.0.2.1:80 -r 10.0.0.6:80 -i -w 1 --tun-type gue --tun-port 6081 --tun-remcsum",
		"-a -t 192.0.2.1:80 -r 192.0.2.1:80 -g -w 2",
		"-a -t 192.0.2.1:80 -r [2001:db8::7]:80 -i -w 3 --tun-type ipip",
	},
}, {
	service: lvs.Service{
		Key: lvs.Key{Protocol: lvs.UDP, Address: addr("[2001:db8::1]:53")},
		Settings: lvs.Settings{
			Scheduler: "mh", Flags: lvs.OnePacket | lvs.Flag2,
			Persistence: lvs.Persistence{Timeout: 31 * 24 * time.Hour, MaskBits: 64},
		},
		Servers: []lvs.Server{{Address: addr("10.0.0.9:53"), Method: lvs.TUN, Weight: 1}, {Address: addr("[2001:db8::8]:5353"), Weight: 1}},
	},
	ipvsadm: []string{
		"-A -u [2001:db8::1]:53 -s mh -p 2678400 -M 64 -o -b mh-port",
		"-a -u [2001:db8::1]:53 -r [2001:db8::8]:5353 -m -w 1",
		"-a -u [2001:db8::1]:53 -r 10.0.0.9:53 -i -w 1 --tun-type ipip",
	},
}, {
	service: lvs.Service{
		Key:      lvs.Key{Protocol: lvs.UDP, Address: addr("192.0.2.1:5060")},
		Settings: lvs.Settings{Scheduler: "rr", Persistence: lvs.Persistence{Timeout: time.Minute, MaskBits: 32, Engine: "sip"}},
	},
	ipvsadm: []string{"-A -u 192.0.2.1:5060 -s rr -p 60 --pe sip"},
}, {
	service: lvs.Service{
		Key:      tcp("192.0.2.2:0"),
		Settings: lvs.Settings{Scheduler: "sh", Flags: lvs.Flag1, Persistence: lvs.Persistence{Timeout: time.Second, MaskBits: 24}},
	},
	ipvsadm: []string{"-A -t 192.0.2.2:0 -s sh -p 1 -M 255.255.255.0 -b sh-fallback"},
}, {
	service: lvs.Service{
		Key: lvs.Key{Protocol: lvs.SCTP, Address: addr("192.0.2.3:9")}, Settings: lvs.Settings{Scheduler: "nq", Flags: lvs.Flag3},
	},
	ipvsadm: []string{"-A --sctp-service 192.0.2.3:9 -s nq -b flag-3"},
}, {
	service: lvs.Service{
		Key: lvs.Key{Mark: 2147483647, MarkFamily: lvs.IPv4}, Settings: lvs.Settings{Scheduler: "rr"},
		Servers: []lvs.Server{{Address: addr("10.0.0.1:0"), Method: lvs.DR, Weight: 1}},
	},
	ipvsadm: []string{"-A -f 2147483647 -s rr", "-a -f 2147483647 -r 10.0.0.1:0 -g -w 1"},
}, {
	service: lvs.Service{
		Key: lvs.Key{Mark: 2147483647, MarkFamily: lvs.IPv6}, Settings: lvs.Settings{Scheduler: "rr"},
		Servers: []lvs.Server{{Address: addr("[2001:db8::7]:0"), Method: lvs.DR, Weight: 1}},
	},
	ipvsadm: []string{"-A -f 2147483647 -6 -s rr", "-a -f 2147483647 -6 -r [2001:db8::7]:0 -g -w 1"},
}}

func wanted() (services []lvs.Service, lines []string) {
	for _, f := range everyField {
		services = append(services, f.service)
		lines = append(lines, f.ipvsadm...)
	}
	slices.SortFunc(services, func(a, b lvs.Service) int { return a.Compare(b.Key) })
	slices.Sort(lines)
	return services, lines
}

func TestEveryFieldIsReadAsItWasWritten(t *testing.T) {
	k := namespace(t)
	services, lines := wanted()
	write(t, k, lvs.Diff(services, nil, nil)...)
	got := read(t, k)
	same(t, "read by us", services, got)
	same(t, "read by ipvsadm", lines, saved(t))
	states, err := k.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if ops := lvs.Diff(services, states, nil); len(ops) > 0 {
		t.Errorf("written and read, Diff still says %v", ops)
	}
	for _, s := range services {
		same(t, "read alone", []lvs.Service{s}, read(t, k, s.Key))
	}
	if missing := read(t, k, tcp("192.0.2.99:80")); len(missing) > 0 {
		t.Errorf("a service that does not exist is %v", missing)
	}
}

func TestWhatIpvsadmWritesIsRead(t *testing.T) {
	k := namespace(t)
	services, lines := wanted()
	for _, line := range lines { // services first: "-A" sorts before "-a"
		ipvsadm(t, strings.Fields(line)...)
	}
	same(t, "read by us", services, read(t, k))
}

func TestEveryFieldCanBeChanged(t *testing.T) {
	k := namespace(t)
	services, lines := wanted()
	var plain []lvs.Service
	for _, s := range services {
		p := lvs.Service{Key: s.Key, Settings: lvs.Settings{Scheduler: "lc"}}
		if s.Mark == 0 && s.Address.Port() == 0 {
			p.Persistence.Timeout = time.Hour
		}
		for _, r := range s.Servers {
			other := lvs.Server{Address: r.Address, Weight: 9}
			if r.Address.Addr().Is4() != (s.Family() == lvs.IPv4) {
				other.Method = lvs.TUN
			}
			p.Servers = append(p.Servers, other)
		}
		plain = append(plain, p)
	}
	write(t, k, lvs.Diff(plain, nil, nil)...)
	for _, want := range [][]lvs.Service{services, plain, services} {
		states, err := k.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ops := lvs.Diff(want, states, nil)
		for _, op := range ops {
			switch op.(type) {
			case lvs.SetService, lvs.SetServer:
			default:
				t.Errorf("%v: want changes only", op)
			}
		}
		write(t, k, ops...)
		if states, err = k.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		if ops := lvs.Diff(want, states, nil); len(ops) > 0 {
			t.Errorf("still to do: %v", ops)
		}
	}
	same(t, "read by ipvsadm", lines, saved(t))
}

// A second opinion on what it can read: one family, weights of 16 bits.
func TestMobySeesWhatWeWrote(t *testing.T) {
	k := namespace(t)
	write(t, k,
		lvs.AddService{Key: tcp("192.0.2.1:80"), Settings: lvs.Settings{Scheduler: "wrr"}},
		lvs.AddServer{Key: tcp("192.0.2.1:80"), Server: lvs.Server{Address: addr("10.0.0.1:8080"), Weight: 60000}},
	)
	h, err := moby.New("")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	services, err := h.GetServices()
	if err != nil || len(services) != 1 {
		t.Fatalf("GetServices = %v, %v, want one", services, err)
	}
	servers, err := h.GetDestinations(services[0])
	if err != nil || len(servers) != 1 {
		t.Fatalf("GetDestinations = %v, %v, want one", servers, err)
	}
	s, r := services[0], servers[0]
	if !s.Address.Equal(net.IPv4(192, 0, 2, 1)) || s.Port != 80 || s.SchedName != "wrr" || !r.Address.Equal(net.IPv4(10, 0, 0, 1)) || r.Port != 8080 || r.Weight != 60000 {
		t.Errorf("moby/ipvs reads %+v, %+v", s, r)
	}
}

func TestRefusalsNameTheirReasonAndStopNothing(t *testing.T) {
	k := namespace(t)
	web := tcp("192.0.2.1:80")
	bad := []struct {
		op    lvs.Op
		errno error
		text  string
	}{
		{lvs.AddService{Key: tcp("192.0.2.9:80"), Settings: lvs.Settings{Scheduler: "nonesuch"}}, unix.ENOENT, "module ip_vs_nonesuch"},
		{lvs.AddService{Key: web, Settings: lvs.Settings{Scheduler: "rr"}}, unix.EEXIST, "somebody else added it"},
		{lvs.SetService{Key: tcp("192.0.2.9:80"), Settings: lvs.Settings{Scheduler: "rr"}}, unix.ESRCH, "deleted"},
		{lvs.DeleteService{Key: tcp("192.0.2.9:80")}, unix.ESRCH, "deleted"},
		{lvs.DeleteServer{Key: web, Address: addr("10.0.0.9:80")}, unix.ENOENT, "deleted"},
		{lvs.SetServer{Key: web, Server: lvs.Server{Address: addr("10.0.0.9:80")}}, unix.ENOENT, "deleted"},
		{lvs.AddServer{Key: web, Server: lvs.Server{Address: addr("224.0.0.9:80")}}, unix.EINVAL, "none of one machine"},
		{lvs.AddServer{Key: web, Server: lvs.Server{Address: addr("[2001:db8::9]:80")}}, unix.EINVAL, "needs TUN"},
		{lvs.StartSync{Daemon: lvs.SyncDaemon{Role: lvs.SyncMaster, Interface: "none0"}}, unix.ENODEV, "no interface none0"},
		{lvs.StopSync{Role: lvs.SyncBackup}, unix.ESRCH, "deleted"},
	}
	ops := []lvs.Op{lvs.AddService{Key: web, Settings: lvs.Settings{Scheduler: "rr"}}}
	for i := range 300 { // so that they fall into two batches
		ops = append(ops, lvs.AddServer{Key: web, Server: lvs.Server{Address: netip.AddrPortFrom(addr("10.0.0.1:80").Addr(), uint16(1000+i))}})
		if i%30 == 0 {
			ops = append(ops, bad[i/30].op)
		}
	}
	refused, err := k.Write(t.Context(), ops)
	if err != nil {
		t.Fatal(err)
	}
	if len(refused) != len(bad) {
		t.Fatalf("%d refused, want %d: %v", len(refused), len(bad), refused)
	}
	for i, b := range bad {
		r := refused[i]
		if r.Op != b.op || !errors.Is(r, b.errno) || !strings.Contains(r.Error(), b.text) {
			t.Errorf("refusal %v, want %v with %q of %v", r, b.errno, b.text, b.op)
		}
	}
	if n := len(read(t, k)[0].Servers); n != 300 {
		t.Errorf("%d servers, want all 300 others", n)
	}
}

func TestDaemonsHaveAllTheirOptions(t *testing.T) {
	k := namespace(t)
	master := lvs.SyncDaemon{Role: lvs.SyncMaster, Interface: "net0", ID: 51, MaxLen: 1200, Group: netip.MustParseAddr("224.0.0.99"), Port: 9000, TTL: 3}
	backup := lvs.SyncDaemon{Role: lvs.SyncBackup, Interface: "net0", Group: netip.MustParseAddr("ff02::99")}
	write(t, k, lvs.StartSync{Daemon: master}, lvs.StartSync{Daemon: backup})
	daemons, err := k.ReadSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if stop, start := lvs.DiffSync([]lvs.SyncDaemon{master, backup}, daemons, nil); len(stop)+len(start) > 0 {
		t.Errorf("read %v; still to do: %v %v", daemons, stop, start)
	}
	key := tcp("192.0.2.1:80")
	refused, err := k.Write(t.Context(), []lvs.Op{
		lvs.AddService{Key: key, Settings: lvs.Settings{Scheduler: "rr"}},
		lvs.AddServer{Key: key, Server: lvs.Server{Address: addr("[2001:db8::9]:80"), Method: lvs.TUN}},
	})
	if err != nil || len(refused) != 1 || !strings.Contains(refused[0].Error(), "no sync daemon may run") {
		t.Errorf("a server of another family beside a daemon: %v, %v, want it refused with the reason", refused, err)
	}
	write(t, k, lvs.StopSync{Role: lvs.SyncMaster}, lvs.StopSync{Role: lvs.SyncBackup})
	if daemons, err = k.ReadSync(t.Context()); err != nil || len(daemons) > 0 {
		t.Errorf("after the stop: %v, %v, want none", daemons, err)
	}
}

func TestCountersCountAndAreSetToZero(t *testing.T) {
	k := namespace(t)
	server, err := net.Listen("tcp", "192.0.2.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	key := tcp("192.0.2.1:80")
	write(t, k,
		lvs.AddService{Key: key, Settings: lvs.Settings{Scheduler: "rr"}},
		lvs.AddServer{Key: key, Server: lvs.Server{Address: addr("192.0.2.1:8080"), Weight: 1}},
	)
	client, err := net.DialTimeout("tcp", "192.0.2.1:80", 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	counters := func() (service, server lvs.Counters, c lvs.Connections) {
		states, err := k.Read(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		return states[0].Counters, states[0].Servers[0].Counters, states[0].Servers[0].Connections
	}
	until(t, "one connection of the service and of the server", func() bool {
		service, server, c := counters()
		return service.Connections == 1 && server.Connections == 1 && service.InPackets >= 2 && service.InBytes >= 100 && c.Active == 1
	})
	if err := k.Zero(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	until(t, "zero, and the connection still there", func() bool {
		service, server, c := counters()
		return service.Connections == 0 && server.Connections == 0 && c.Active == 1
	})
	if err := k.Zero(t.Context()); err != nil {
		t.Error(err)
	}
	if err := k.Zero(t.Context(), tcp("192.0.2.9:80")); !errors.Is(err, unix.ESRCH) {
		t.Errorf("Zero of what does not exist = %v, want %v", err, unix.ESRCH)
	}
}

// until waits for what the kernel's estimator brings every two seconds.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func TestTimeoutsAndInfo(t *testing.T) {
	k := namespace(t)
	before, err := k.Timeouts()
	if err != nil || before.TCP != 15*time.Minute {
		t.Errorf("Timeouts = %v, %v, want 15 minutes of TCP, the kernel's own", before, err)
	}
	if err := k.SetTimeouts(ipvs.Timeouts{TCP: time.Hour}); err != nil {
		t.Fatal(err)
	}
	want := before
	want.TCP = time.Hour
	if got, err := k.Timeouts(); err != nil || got != want {
		t.Errorf("Timeouts = %v, %v, want %v", got, err, want)
	}
	info, err := k.Info(t.Context())
	if err != nil || info.Version != "1.2.1" || info.ConnectionTable < 256 {
		t.Errorf("Info = %+v, %v, want version 1.2.1 and a table", info, err)
	}
}

func TestManyServicesAreReadAsTheyWereWritten(t *testing.T) {
	k := namespace(t)
	var services []lvs.Service
	for i := range 1500 {
		services = append(services, lvs.Service{
			Key:      tcp(fmt.Sprintf("192.0.2.1:%d", 1000+i)),
			Settings: lvs.Settings{Scheduler: "wlc"},
			Servers:  []lvs.Server{{Address: addr("10.0.0.1:80"), Weight: 1}, {Address: addr("10.0.0.2:80"), Weight: uint32(i)}},
		})
	}
	write(t, k, lvs.Diff(services, nil, nil)...)
	same(t, "read by us", services, read(t, k))
}
