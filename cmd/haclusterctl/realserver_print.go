package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/hacluster/hacluster/internal/realserver"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// realserverReport is what the commands of realserver answer with -o json.
type realserverReport struct {
	// Changes are what this call has changed, in order, for people.
	Changes   []string            `json:"changes"`
	Addresses []realserverAddress `json:"addresses"`
	Settings  []realserverSetting `json:"settings"`
	// Persistent is whether it comes back after a boot.
	Persistent bool `json:"persistent"`
}

// realserverAddress is one address: State is UP, WRONG or DOWN.
type realserverAddress struct {
	Address  string   `json:"address"`
	Device   string   `json:"device"`
	State    string   `json:"state"`
	WasThere bool     `json:"was_there"`
	Problems []string `json:"problems"`
}

// realserverSetting is a setting that down gives its former value back.
type realserverSetting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Former string `json:"former"`
}

// printRealserver tells what was changed, if that is asked for, and how addresses
// stand.
func (a *app) printRealserver(m *realserver.Machine, vips []netip.Addr, changed bool) error {
	list, err := addressesOf(m, vips)
	if err != nil {
		return err
	}
	report := realserverReport{Changes: []string{}, Addresses: list, Settings: []realserverSetting{}, Persistent: comesBack()}
	if changed {
		report.Changes = append(report.Changes, m.Told()...)
	}
	for _, s := range m.Settings() {
		report.Settings = append(report.Settings, realserverSetting{s.String(), s.Value, s.Former})
	}
	if !report.Persistent && len(m.Addresses()) > 0 {
		fmt.Fprintf(a.err, "after a boot nothing of it is there: %s is not enabled (systemctl enable %s)\n", realserverUnit, realserverUnit)
	}
	if a.json() {
		text, err := json.Marshal(report)
		if err != nil {
			return err
		}
		return a.printIndented(text)
	}
	for _, line := range report.Changes {
		a.printf("%s\n", line)
	}
	if len(list) == 0 {
		fmt.Fprintln(a.err, "no virtual address is up on this machine")
		return nil
	}
	rows := [][]cell{plain("ADDRESS", "DEVICE", "STATE", "WHY")}
	for _, v := range list {
		rows = append(rows, []cell{{v.Address, bold}, {text: v.Device}, realserverState(v), {text: realserverWhy(v)}})
	}
	a.table(a.out, rows)
	if !changed {
		for _, s := range report.Settings {
			a.printf("%s is %s, was %s\n", s.Name, s.Value, s.Former)
		}
	}
	return nil
}

// addressesOf says how addresses stand.
func addressesOf(m *realserver.Machine, vips []netip.Addr) ([]realserverAddress, error) {
	list := []realserverAddress{}
	for _, vip := range vips {
		s, err := m.Status(vip)
		if err != nil {
			return nil, err
		}
		v := realserverAddress{Address: vip.String(), Device: s.Device, WasThere: s.WasThere, Problems: append([]string{}, s.Problems...)}
		directs, err := realserver.Directs(vip)
		if err != nil {
			return nil, err
		}
		if directs && s.Device != "" {
			v.Problems = append(v.Problems, "this machine is a director of it as well")
		}
		switch {
		case s.Device == "":
			v.State = "DOWN"
		case len(v.Problems) > 0:
			v.State = "WRONG"
		default:
			v.State = "UP"
		}
		list = append(list, v)
	}
	return list, nil
}

func realserverState(v realserverAddress) cell {
	switch v.State {
	case "UP":
		return cell{v.State, green}
	case "WRONG":
		return cell{v.State, red}
	}
	return cell{text: v.State}
}

func realserverWhy(v realserverAddress) string {
	switch {
	case len(v.Problems) > 0:
		return strings.Join(v.Problems, "; ") + "; realserver up puts right what it can"
	case v.WasThere:
		return "it was there before, and will stay"
	}
	return ""
}

// comesBack reports whether the unit that restores at each boot is enabled.
func comesBack() bool {
	_, err := os.Lstat(filepath.Join("/etc/systemd/system/multi-user.target.wants", realserverUnit))
	return err == nil
}

// refuseDirector refuses an address of which this machine is a director: it stands
// in the kernel's table, or the daemon that runs here holds it at times.
func (a *app) refuseDirector(ctx context.Context, vip netip.Addr, force bool) error {
	if force {
		return nil
	}
	refusal := &exitError{
		code: exitRefused, text: fmt.Sprintf("this machine is a director of %v, so it cannot be a real server of it by DR or TUN", vip),
		remedy: "--force does it all the same; haclusterctl realserver up --help says what happens then",
	}
	directs, err := realserver.Directs(vip)
	if err != nil {
		return err
	}
	if directs || a.daemonHolds(ctx, vip) {
		return refusal
	}
	return nil
}

// daemonPatience bounds the question to the daemon of this machine, if there is one.
const daemonPatience = 3 * time.Second

// daemonHolds reports whether the daemon of this machine has a virtual address. One
// that does not run has none.
func (a *app) daemonHolds(ctx context.Context, vip netip.Addr) (holds bool) {
	if _, err := os.Stat(a.socket); err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, daemonPatience)
	defer cancel()
	err := a.callWithout(ctx, func(ctx context.Context, conn *grpc.ClientConn) error {
		all, err := pb.NewVipsServiceClient(conn).List(ctx, &pb.ListVipsRequest{})
		for _, v := range all.GetVips() {
			p, err := netip.ParsePrefix(v.GetAddress())
			holds = holds || err == nil && p.Addr() == vip
		}
		return err
	})
	if err != nil {
		fmt.Fprintf(a.err, "whether this machine is a director of %v as well is not known: %v\n", vip, err)
	}
	return holds
}
