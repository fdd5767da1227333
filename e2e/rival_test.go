package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// Two programs that run one virtual router on one machine would take each
// other's adverts for their own.
func TestKeepalivedOnTheSameMachineIsRefused(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	a := lan.Node("a")
	conf := twoNodes(2, 100, 90, vip, "state BACKUP")
	keepalived := a.StartKeepalived(conf)
	keepalived.WantLog("Entering BACKUP STATE", 5*time.Second)
	d := a.StartStandalone(conf)
	if code := d.WantExit(5 * time.Second); code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	for _, words := range []string{"keepalived (pid ", "virtual router 51 (IPv4) on eth0", "systemctl disable --now keepalived"} {
		if !strings.Contains(d.Log(), words) {
			t.Errorf("lacks %q:\n%s", words, d.Log())
		}
	}
}
