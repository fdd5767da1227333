package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// Each refusal is one clear line and exit status 1, and the node still waits
// afterwards: nothing has changed.
func TestJoinRefusalsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	a, other := lan.Node("lb01"), lan.Node("other")
	b, c := lan.Node("lb02"), lan.Node("lb03")
	da, dother := a.StartMember(lab.Control), other.StartMember(lab.Control)
	lab.Form(t, "", da)
	lab.Form(t, "", dother)
	db := b.StartMember(lab.Control)
	db.WantSocket(10 * time.Second)

	addr := a.Addr4(lab.Control).String() + ":7112"
	token := strings.TrimSpace(da.MustCtl("token", "create", "--quiet"))
	foreign := strings.TrimSpace(dother.MustCtl("token", "create", "--quiet"))

	refused := func(d *lab.Daemon, name string, args []string, words ...string) {
		t.Helper()
		res := d.Ctl(append([]string{"join"}, args...)...)
		if res.Exit != 1 {
			t.Errorf("%s: exit %d, want 1:\n%s%s", name, res.Exit, res.Stdout, res.Stderr)
		}
		for _, w := range words {
			if !strings.Contains(res.Stderr, w) {
				t.Errorf("%s: lacks %q:\n%s", name, w, res.Stderr)
			}
		}
		// Nothing has changed: the node waits as before.
		if st := d.Ctl("status"); !strings.Contains(st.Stdout, "this node is in no cluster yet") {
			t.Errorf("%s: status afterwards: %v", name, st)
		}
	}
	refused(db, "truncated token", []string{addr, "--token", token[:len(token)-3]}, "truncated or mistyped")
	refused(db, "token of another cluster", []string{addr, "--token", foreign}, "wrong cluster", "expected SHA256:", "found SHA256:")

	revoked := strings.TrimSpace(da.MustCtl("token", "create", "--quiet"))
	var list struct {
		Tokens []struct {
			ID string `json:"id"`
		} `json:"tokens"`
	}
	da.CtlJSON(&list, "token", "list")
	for _, known := range list.Tokens {
		da.MustCtl("token", "revoke", known.ID)
	}
	refused(db, "revoked token", []string{addr, "--token", revoked}, "revoked")
	token = strings.TrimSpace(da.MustCtl("token", "create", "--quiet"))

	dother.KillAll()
	unreachable := other.Addr4(lab.Control).String() + ":7112"
	refused(db, "unreachable member", []string{unreachable, "--token", foreign, "--timeout", "5s"}, unreachable)

	twin := c.StartMember(lab.Control, "--name=lb01")
	twin.WantSocket(10 * time.Second)
	refused(twin, "duplicate node name", []string{addr, "--token", token}, "node lb01 is already a member")

	// The token still works: what was refused did not use it up.
	db.MustCtl("join", addr, "--token", token)
	refusedUsed := twin.Ctl("join", addr, "--token", token)
	if refusedUsed.Exit != 1 || !strings.Contains(refusedUsed.Stderr, "used") {
		t.Errorf("used token: %v", refusedUsed)
	}

	second := b.Start(lab.Binary(t, "haclusterd"), "--name=lb09", "--data-dir="+b.TempDir(), "--run-dir="+b.TempDir(),
		"--advertise="+b.Addr4(lab.Control).String())
	if code := second.WantExit(5 * time.Second); code != 1 || !strings.Contains(second.Log(), "7112") {
		t.Errorf("port in use: exit %d, %q; want 1 and the port", code, second.Log())
	}
}
