package main

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/lvs"
	"github.com/hacluster/hacluster/lvs/ipvs"
)

// table is n services of two servers each.
func table(n int) []lvs.Service {
	services := make([]lvs.Service, n)
	for i := range services {
		hi, lo := byte(i>>8), byte(i)
		services[i] = lvs.Service{
			Key: lvs.Key{
				Protocol: lvs.TCP,
				Address:  netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, hi, lo}), 80),
			},
			Settings: lvs.Settings{Scheduler: "wlc"},
			Servers: []lvs.Server{
				{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 2, hi, lo}), 80), Weight: 1},
				{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 3, hi, lo}), 80), Weight: 1},
			},
		}
	}
	return services
}

// withWeight is the table with another weight of the first server of service i.
func withWeight(services []lvs.Service, i int, weight uint32) []lvs.Service {
	changed := make([]lvs.Service, len(services))
	copy(changed, services)
	servers := make([]lvs.Server, len(services[i].Servers))
	copy(servers, services[i].Servers)
	servers[0].Weight = weight
	changed[i].Servers = servers
	return changed
}

// ipvsadmText is what ipvsadm --restore reads.
func ipvsadmText(services []lvs.Service) string {
	var b strings.Builder
	for _, s := range services {
		fmt.Fprintf(&b, "-A -t %v -s %s\n", s.Address, s.Scheduler)
		for _, r := range s.Servers {
			fmt.Fprintf(&b, "-a -t %v -r %v -m -w %d\n", s.Address, r.Address, r.Weight)
		}
	}
	return b.String()
}

// keepalivedText is the same as a document.
func keepalivedText(services []lvs.Service) string {
	var b strings.Builder
	for _, s := range services {
		fmt.Fprintf(&b, "virtual_server %v %d {\n  lvs_sched %s\n  lvs_method NAT\n  protocol TCP\n", s.Address.Addr(), s.Address.Port(), s.Scheduler)
		for _, r := range s.Servers {
			fmt.Fprintf(&b, "  real_server %v %d {\n    weight %d\n  }\n", r.Address.Addr(), r.Address.Port(), r.Weight)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// inNamespace runs f on a thread in a network namespace of its own, with routes
// to all servers.
func inNamespace(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with f
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("new network namespace: %w", err)
			}
			lo, err := netlink.LinkByName("lo")
			if err != nil {
				return err
			}
			net := &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: "net0"}}
			if err := netlink.LinkAdd(net); err != nil {
				return err
			}
			for _, link := range []netlink.Link{lo, net} {
				if err := netlink.LinkSetUp(link); err != nil {
					return err
				}
			}
			addr, err := netlink.ParseAddr("10.255.255.254/8")
			if err != nil {
				return err
			}
			if err := netlink.AddrAdd(net, addr); err != nil {
				return err
			}
			return f()
		}()
	}()
	return <-done
}

// check reads the table and says what is not as it should be.
func check(ctx context.Context, k *ipvs.Kernel, want []lvs.Service) error {
	have, err := k.Read(ctx)
	if err != nil {
		return err
	}
	if ops := lvs.Diff(want, have, nil); len(ops) > 0 || len(have) != len(want) {
		return fmt.Errorf("%d services, want %d; %d operations away from what is wanted", len(have), len(want), len(ops))
	}
	return nil
}
