package netif

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// What the findings of the project's review say of addresses, one test for each that
// no other test answers. The table is docs/findings.md.

// S36, R12: were the line written behind the address, a process that dies in between
// would leave an address that nobody knows of. Here the journal is a pipe, so that
// its writer waits for a reader.
func TestTheJournalNamesAnAddressBeforeTheKernelHasIt(t *testing.T) {
	newNamespace(t)
	dir := t.TempDir()
	a := newAddresses(t, dir)
	pipe := filepath.Join(dir, "addresses")
	must(t, unix.Mkfifo(pipe, 0o644))
	handle, err := netlink.NewHandle() // in this namespace, for the other goroutine
	must(t, err)
	defer handle.Close()
	v0 := link(t, "v0")
	has := func() bool {
		list, err := handle.AddrList(v0, netlink.FAMILY_V4)
		return err != nil || len(list) > 0
	}
	early := make(chan bool)
	go func() {
		found := false
		for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end) && !found; {
			found = has()
		}
		f, err := os.OpenFile(pipe, os.O_RDWR, 0) // which never waits
		early <- found || err != nil
		if err == nil {
			_, _ = io.ReadFull(f, make([]byte, 10))
			f.Close()
		}
	}()
	must(t, a.Claim("vi_1", []Address{vip("192.0.2.100/32")}, nil, Lease))
	if <-early {
		t.Error("the kernel had the address before the journal named it")
	}
	wantPrefixes(t, "v0", "192.0.2.100/32")
}

// S37, R12: of two addresses in one subnet the kernel removes the second with the
// first, whether that is removed or expires, and another unit may hold it.
func TestAddressesOfOneSubnetGoOneByOne(t *testing.T) {
	for _, how := range []string{"released", "expired"} {
		t.Run(how, func(t *testing.T) {
			newNamespace(t)
			for _, where := range []string{"all", "v0"} {
				must(t, os.WriteFile("/proc/sys/net/ipv4/conf/"+where+"/promote_secondaries", []byte("0"), 0o644))
			}
			a := newAddresses(t, t.TempDir())
			first, second := []Address{vip("192.0.2.100/24")}, []Address{vip("192.0.2.101/24")}
			must(t, a.Claim("vi_1", first, nil, Lease))
			must(t, a.Claim("vi_2", second, nil, Lease))
			if how == "released" {
				must(t, a.Release("vi_1", first, nil))
				wantPrefixes(t, "v0", "192.0.2.101/24")
				return
			}
			next := time.Now()
			for end := next.Add(2200 * time.Millisecond); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
				if !time.Now().Before(next) {
					must(t, a.Renew("vi_1"))
					next = next.Add(250 * time.Millisecond)
				}
				if !slices.Contains(prefixes(t, "v0"), "192.0.2.101/24") {
					t.Fatal("the second address went with the first")
				}
			}
			wantPrefixes(t, "v0", "192.0.2.101/24")
		})
	}
}
