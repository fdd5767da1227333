package supervisor

import (
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// What the findings of the project's review say of the supervisor, one test for each
// that no other test answers. The table is docs/findings.md.

// S31, R7c: a kernel that refuses to remove an address, for whatever reason, is told
// from one that has removed it by a dump, and not by the wish.
func TestAnAddressThatCannotBeRemovedIsNotSaidToBeGone(t *testing.T) {
	address := Address{Interface: "lo", Prefix: netip.MustParsePrefix("192.0.2.100/32")}
	removed := make(chan [2]error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its rights
		removed <- func() (got [2]error) {
			ns, err := netns.New()
			if err != nil {
				return [2]error{err, err}
			}
			defer ns.Close()
			x, err := newExecutor()
			if err != nil {
				return [2]error{err, err}
			}
			defer x.close()
			lo := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: 1}}
			vip := &netlink.Addr{IPNet: netlink.NewIPNet(address.Prefix.Addr().AsSlice()), ValidLft: 60, PreferedLft: 60}
			if err := x.handle.AddrAdd(lo, vip); err != nil {
				return [2]error{err, err}
			}
			restore, err := withoutRights()
			if err != nil {
				return [2]error{err, err}
			}
			got[0] = x.remove([]Address{address})
			if err := restore(); err != nil {
				return [2]error{err, err}
			}
			got[1] = x.remove([]Address{address})
			return got
		}()
	}()
	got := <-removed
	if got[0] == nil || !strings.Contains(got[0].Error(), "still there") {
		t.Errorf("remove = %v of a kernel that refuses, want that the address is still there", got[0])
	}
	if got[1] != nil {
		t.Errorf("remove = %v of a kernel that does not, want none", got[1])
	}
}

// withoutRights takes the rights of this thread until restore is called.
func withoutRights() (restore func() error, err error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var rights [2]unix.CapUserData
	if err := unix.Capget(&header, &rights[0]); err != nil {
		return nil, err
	}
	none := rights
	none[0].Effective, none[1].Effective = 0, 0
	if err := unix.Capset(&header, &none[0]); err != nil {
		return nil, err
	}
	return func() error { return unix.Capset(&header, &rights[0]) }, nil
}

// S33: systemd ends what is left of a service whose main process was killed, and the
// OOM killer's choice of the worker must not end the supervisor, which alone can do
// what the worker cannot any more. Both follow from the unit file.
func TestTheServiceFileLetsTheSupervisorOutliveItsWorkerAndNotTheOtherWay(t *testing.T) {
	unit, err := os.ReadFile("../../deploy/systemd/haclusterd.service")
	if err != nil {
		t.Fatal(err)
	}
	set := make(map[string]string)
	for line := range strings.Lines(string(unit)) {
		if word, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			set[word] = value
		}
	}
	if got := set["OOMPolicy"]; got != "continue" {
		t.Errorf("OOMPolicy=%s, want continue: an OOM kill of the worker would stop the supervisor too", got)
	}
	if got, ok := set["KillMode"]; ok {
		t.Errorf("KillMode=%s, want its default: nobody else would end a worker without supervisor", got)
	}
}
