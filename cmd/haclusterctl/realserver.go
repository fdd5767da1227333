package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/realserver"
)

// realserverUnit brings addresses back after a boot.
const realserverUnit = "haclusterd-realserver.service"

func (a *app) realserverCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "realserver",
		Short: "Make this machine a real server of a director (DR or TUN)",
		Long: `Realserver gives this machine, a web server for example, the virtual address of a
director, and keeps the network from seeing it here: it sets arp_ignore,
arp_announce and, of a tunnel, rp_filter. It needs root, but no daemon: only the
package, whose unit ` + realserverUnit + ` does it again after a boot.

Down takes back exactly what up did. An address that was there before stays, and
so does a setting that somebody else has changed since.

A real server of NAT needs none of this, only a way back through the director.`,
		Example: example("haclusterctl realserver up 192.0.2.100", "haclusterctl realserver status", "haclusterctl realserver down 192.0.2.100"),
		Args:    noCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var dir string
	cmd.PersistentFlags().StringVar(&dir, "data-dir", "/var/lib/haclusterd", "where it is noted what was there before")
	cmd.AddCommand(a.realserverUpCommand(&dir), a.realserverDownCommand(&dir), a.realserverStatusCommand(&dir), a.realserverRestoreCommand(&dir))
	return cmd
}

func (a *app) realserverUpCommand(dir *string) *cobra.Command {
	var on string
	var tunnel, force bool
	cmd := &cobra.Command{
		Use:   "up VIP…",
		Short: "Take packets that a director sends to a virtual address",
		Long: `Up gives this machine virtual addresses: on lo, for a director that sends with DR,
or with --tunnel on tunl0 (IPv4) or ip6tnl0 (IPv6), for one that sends with TUN.
A tunnel of another kind (GRE, GUE, one family in the other) is made by you, and
named by --device. What is up already is looked after and put right.

On a machine that is a director of the address itself it is refused: a backup
director balances once more what the holder sends to it, or its gate drops it.
Let the document name other machines as real servers, or this one by NAT.`,
		Example: example("haclusterctl realserver up 192.0.2.100 2001:db8::100", "haclusterctl realserver up 192.0.2.100 --tunnel", "haclusterctl realserver up 192.0.2.100 --device gre1"),
		RunE: func(cmd *cobra.Command, args []string) error {
			vips, err := parseVIPs(cmd, args)
			if err != nil {
				return err
			}
			if tunnel && on != "" {
				return usageError("--tunnel and --device name two devices; use one of them")
			}
			return a.onRealserver(cmd.Context(), *dir, func(ctx context.Context, m *realserver.Machine) error {
				before := m.Addresses()
				for _, vip := range vips {
					err := a.refuseDirector(ctx, vip, force)
					if err == nil {
						err = m.Up(ctx, vip, realserverDevice(vip, on, tunnel))
					}
					if err != nil {
						return errors.Join(err, takeDown(m, before, vips))
					}
				}
				return a.printRealserver(m, vips, true)
			})
		},
	}
	a.readFlags(cmd)
	cmd.Flags().StringVar(&on, "device", "", "device that gets the addresses (default lo)")
	cmd.Flags().BoolVar(&tunnel, "tunnel", false, "the director sends with TUN (ipip, or IPv6 in IPv6)")
	cmd.Flags().BoolVar(&force, "force", false, "even where this machine is a director of the address")
	return cmd
}

// realserverDevice is the device for an address.
func realserverDevice(vip netip.Addr, named string, tunnel bool) string {
	switch {
	case named != "":
		return named
	case !tunnel:
		return "lo"
	case vip.Is4():
		return "tunl0"
	}
	return "ip6tnl0"
}

// takeDown takes down those of the addresses that were not up before.
func takeDown(m *realserver.Machine, before, vips []netip.Addr) error {
	var errs []error
	for _, vip := range vips {
		if !slices.Contains(before, vip) {
			errs = append(errs, m.Down(vip))
		}
	}
	return errors.Join(errs...)
}

func (a *app) realserverDownCommand(dir *string) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:               "down VIP…",
		Short:             "Take back what up did",
		Example:           example("haclusterctl realserver down 192.0.2.100", "haclusterctl realserver down --all"),
		ValidArgsFunction: completeRealserver(dir),
		RunE: func(cmd *cobra.Command, args []string) error {
			var vips []netip.Addr
			if !all || len(args) > 0 {
				var err error
				if vips, err = parseVIPs(cmd, args); err != nil {
					return err
				}
			}
			return a.onRealserver(cmd.Context(), *dir, func(_ context.Context, m *realserver.Machine) error {
				if all {
					vips = m.Addresses()
				}
				for _, vip := range vips {
					if err := m.Down(vip); err != nil {
						return err
					}
				}
				return a.printRealserver(m, vips, true)
			})
		},
	}
	a.readFlags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "all that are up")
	return cmd
}

func (a *app) realserverStatusCommand(dir *string) *cobra.Command {
	var exitCode bool
	cmd := &cobra.Command{
		Use:               "status [VIP…]",
		Short:             "Say what is up, and whether the kernel has it as it must be",
		Example:           example("haclusterctl realserver status", "haclusterctl realserver status 192.0.2.100 --exit-code   # 0 up, 1 not"),
		ValidArgsFunction: completeRealserver(dir),
		RunE: func(cmd *cobra.Command, args []string) error {
			var vips []netip.Addr
			if len(args) > 0 {
				var err error
				if vips, err = parseVIPs(cmd, args); err != nil {
					return err
				}
			}
			return a.onRealserver(cmd.Context(), *dir, func(_ context.Context, m *realserver.Machine) error {
				if len(args) == 0 {
					vips = m.Addresses()
				}
				if err := a.printRealserver(m, vips, false); err != nil || !exitCode {
					return err
				}
				list, err := addressesOf(m, vips)
				if err == nil && slices.ContainsFunc(list, func(v realserverAddress) bool { return v.State != "UP" }) {
					err = &exitError{code: exitRefused}
				}
				return err
			})
		},
	}
	a.readFlags(cmd)
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "exit with 0 when all are up, else 1")
	return cmd
}

func (a *app) realserverRestoreCommand(dir *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Bring up again all that was up, as after a boot",
		Long: `Restore is what ` + realserverUnit + ` runs at each boot. Of an address
that cannot be brought up it says why, and goes on with the others.`,
		Example: example("haclusterctl realserver restore"),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.onRealserver(cmd.Context(), *dir, func(ctx context.Context, m *realserver.Machine) error {
				err := m.Restore(ctx)
				return errors.Join(a.printRealserver(m, m.Addresses(), true), err)
			})
		},
	}
	a.readFlags(cmd)
	return cmd
}

// parseVIPs reads host addresses, each once.
func parseVIPs(cmd *cobra.Command, args []string) ([]netip.Addr, error) {
	if len(args) == 0 {
		return nil, usageError("usage: %s", cmd.UseLine())
	}
	var vips []netip.Addr
	for _, text := range args {
		vip, err := netip.ParseAddr(text)
		if p, perr := netip.ParsePrefix(text); perr == nil && p.IsSingleIP() {
			vip, err = p.Addr(), nil
		}
		vip = vip.Unmap()
		switch {
		case err != nil:
			return nil, usageError("%q is no address; use for example 192.0.2.100 or 2001:db8::100", text)
		case !vip.IsGlobalUnicast() || vip.Zone() != "":
			return nil, usageError("%s cannot be a virtual address of a service; use a unicast address that is not link-local", text)
		}
		if !slices.Contains(vips, vip) {
			vips = append(vips, vip)
		}
	}
	return vips, nil
}

// onRealserver runs f with this machine, as root only.
func (a *app) onRealserver(ctx context.Context, dir string, f func(context.Context, *realserver.Machine) error) error {
	if os.Geteuid() != 0 {
		return &exitError{code: exitNoDaemon, text: "realserver looks after addresses of this machine, which needs root", remedy: "use sudo"}
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	m, err := realserver.Open(dir)
	if err == nil {
		err = errors.Join(f(ctx, m), m.Close())
	}
	if _, ok := errors.AsType[*exitError](err); ok || err == nil {
		return err
	}
	return &exitError{code: exitRefused, text: err.Error()}
}

// completeRealserver completes the addresses that are up.
func completeRealserver(dir *string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		if os.Geteuid() != 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		m, err := realserver.Open(*dir)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer m.Close()
		var names []string
		for _, vip := range m.Addresses() {
			names = append(names, fmt.Sprint(vip))
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
