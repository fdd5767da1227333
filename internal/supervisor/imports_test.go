package supervisor

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The supervisor goes on because there is little in it that could stop it. What
// it is built from beside the standard library is this, and nothing that speaks
// VRRP, gossip, Raft or gRPC.
func TestTheSupervisorIsBuiltFromLittle(t *testing.T) {
	allowed := []string{
		"github.com/hacluster/hacluster/internal/supervisor",
		"github.com/vishvananda/netlink", "github.com/vishvananda/netns",
		"golang.org/x/sys/unix",
	}
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.FieldsSeq(string(out)) {
		if !slices.ContainsFunc(allowed, func(a string) bool { return dep == a || strings.HasPrefix(dep, a+"/") }) {
			t.Errorf("the supervisor depends on %s", dep)
		}
	}
}
