package vrrp

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/vrrp/packet"
)

// keepalived is a real keepalived with one instance in a namespace.
type keepalived struct {
	t   *testing.T
	ns  *namespace
	cmd *exec.Cmd
	log lockedBuffer
	vip netip.Addr
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startKeepalived runs keepalived in ns until the test ends, with priority 100
// and the given lines in its vrrp_instance.
func startKeepalived(t *testing.T, ns *namespace, vip netip.Addr, lines string) *keepalived {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "keepalived.conf")
	text := fmt.Sprintf(`
global_defs {
    router_id test
}
vrrp_instance VI {
    interface eth0
    virtual_router_id 51
    priority 100
%s
}
`, lines)
	must(t, os.WriteFile(file, []byte(text), 0o600))

	k := &keepalived{t: t, ns: ns, vip: vip}
	k.cmd = exec.Command("keepalived", "--dont-fork", "--log-console", "--log-detail", "--vrrp",
		"--use-file", file, "--pid", filepath.Join(dir, "pid"), "--vrrp_pid", filepath.Join(dir, "vrrp.pid"))
	k.cmd.Stdout, k.cmd.Stderr = &k.log, &k.log
	must(t, ns.do(k.cmd.Start)) // a child is in the namespace of the thread that starts it
	t.Cleanup(func() {
		k.stop()
		if t.Failed() {
			t.Logf("keepalived said:\n%s", k.log.String())
		}
	})
	return k
}

// stop ends it politely: priority 0 goes out.
func (k *keepalived) stop() {
	if k.cmd.ProcessState != nil {
		return
	}
	_ = k.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = k.cmd.Wait() // its exit status says nothing here
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		_ = k.cmd.Process.Kill()
		<-done
	}
}

func (k *keepalived) wantMaster(want bool) {
	k.t.Helper()
	eventually(k.t, fmt.Sprintf("keepalived holds %v = %v", k.vip, want), func() bool { return k.ns.has(k.vip) == want })
}

// Both roles and all changes of role: keepalived master and preempted by us,
// backup under us, preempting us, and leaving with a goodbye.
func TestEngineAndKeepalivedTakeTurns(t *testing.T) {
	if _, err := exec.LookPath("keepalived"); err != nil {
		t.Fatalf("keepalived is needed to test against: %v; install the package keepalived", err)
	}
	vip4, vip6 := netip.MustParseAddr("10.0.0.51"), netip.MustParseAddr("fe80::51")

	tests := []struct {
		name   string
		lines  string // of keepalived's vrrp_instance
		vip    netip.Addr
		change func(i *InstanceSpec, peer *namespace)
	}{{
		name: "version 2 with a password",
		lines: `version 2
			advert_int 1
			authentication {
				auth_type PASS
				auth_pass secret12
			}
			virtual_ipaddress {
				10.0.0.51/32
			}`,
		vip: vip4,
		change: func(i *InstanceSpec, _ *namespace) {
			i.Wire.Auth, i.Wire.AuthData = packet.AuthPass, [8]byte([]byte("secret12"))
		},
	}, {
		name: "version 2 without authentication",
		lines: `version 2
			advert_int 1
			virtual_ipaddress {
				10.0.0.51/32
			}`,
		vip:    vip4,
		change: func(*InstanceSpec, *namespace) {},
	}, {
		name: "version 3 over IPv4",
		lines: `version 3
			advert_int 0.3
			virtual_ipaddress {
				10.0.0.51/32
			}`,
		vip: vip4,
		change: func(i *InstanceSpec, _ *namespace) {
			i.Version, i.AdvertInterval = 3, 300*time.Millisecond
		},
	}, {
		name: "version 3 over IPv6",
		lines: `version 3
			advert_int 0.3
			virtual_ipaddress {
				fe80::51/64
				2001:db8::51/64
			}`,
		vip: vip6,
		change: func(i *InstanceSpec, _ *namespace) {
			overIPv6(i)
			i.Version, i.AdvertInterval = 3, 300*time.Millisecond
		},
	}, {
		name: "version 3 over IPv4, unicast",
		lines: `version 3
			advert_int 0.3
			check_unicast_src
			unicast_src_ip 192.0.2.2
			unicast_peer {
				192.0.2.1
			}
			virtual_ipaddress {
				10.0.0.51/32
			}`,
		vip: vip4,
		change: func(i *InstanceSpec, peer *namespace) {
			unicastTo(peer.addr4)(i)
			i.Version, i.AdvertInterval = 3, 300*time.Millisecond
		},
	}, {
		name: "version 3 over IPv6, unicast",
		lines: `version 3
			advert_int 0.3
			unicast_src_ip fe80::2
			unicast_peer {
				fe80::1
			}
			virtual_ipaddress {
				fe80::51/64
				2001:db8::51/64
			}`,
		vip: vip6,
		change: func(i *InstanceSpec, peer *namespace) {
			overIPv6(i)
			unicastTo(peer.addr6)(i)
			i.Version, i.AdvertInterval = 3, 300*time.Millisecond
		},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			nsA, nsB := newNamespacePair(t)
			change := func(i *InstanceSpec) { tt.change(i, nsB) }
			ours := startRealNode(t, nsA, "ours")
			theirs := startKeepalived(t, nsB, tt.vip, tt.lines)

			theirs.wantMaster(true)
			ours.apply(unitSpec(51, 50, change))
			eventually(t, "an advert of keepalived is accepted", func() bool { return ours.unit().Instances[0].Received > 0 })
			ours.apply(unitSpec(51, 150, change))
			ours.wantState(Master)
			theirs.wantMaster(false)

			ours.apply(unitSpec(51, 50, change))
			theirs.wantMaster(true)
			ours.wantState(Backup)

			theirs.stop()
			ours.wantState(Master)
			status := ours.unit()
			if since := time.Since(status.Instances[0].LastAdvert.At); status.Instances[0].LastAdvert.Priority != 0 {
				t.Errorf("the last advert heard, %v ago, had priority %d; want keepalived's goodbye",
					since, status.Instances[0].LastAdvert.Priority)
			}
			for reason, count := range status.Instances[0].Rejected {
				t.Errorf("%d adverts of keepalived were refused: %s", count, reason)
			}
		})
	}
}
