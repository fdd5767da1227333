package e2e

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/e2e/lab"
)

// examination is what the tests read of `haclusterctl doctor -o json`.
type examination struct {
	Findings []struct {
		Severity string `json:"severity"`
		Check    string `json:"check"`
		Node     string `json:"node"`
		Summary  string `json:"summary"`
		Remedy   string `json:"remedy"`
	} `json:"findings"`
	Worst string `json:"worst"`
}

// examine runs doctor and returns what is worse than a note, a line for each.
func examine(t *testing.T, d *lab.Daemon, wantExit int) []string {
	t.Helper()
	res := d.Ctl("doctor", "-o", "json")
	var e examination
	if err := json.Unmarshal([]byte(res.Stdout), &e); err != nil {
		t.Fatalf("doctor: %v: %v", err, res)
	}
	if res.Exit != wantExit {
		t.Errorf("doctor: exit %d, want %d:\n%s%s", res.Exit, wantExit, res.Stdout, res.Stderr)
	}
	var out []string
	for _, f := range e.Findings {
		if f.Severity == "WARNING" || f.Severity == "ERROR" {
			out = append(out, fmt.Sprintf("%s %s %s: %s", f.Severity, f.Check, f.Node, f.Summary))
			if f.Remedy == "" {
				t.Errorf("no remedy for %s", f.Summary)
			}
		}
	}
	return out
}

// wantDiagnosis fails unless one finding has all words.
func wantDiagnosis(t *testing.T, found []string, words ...string) {
	t.Helper()
	if !slices.ContainsFunc(found, func(line string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
	}) {
		t.Errorf("no finding with %q in:\n%s", words, strings.Join(found, "\n"))
	}
}

func TestDoctorFindsWhatIsWrongBetweenNodes(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	stranger := s.lan.Host("printer")
	if found := examine(t, s.db, 0); len(found) > 0 {
		t.Errorf("a healthy cluster has:\n%s", strings.Join(found, "\n"))
	}
	text := s.da.MustCtl("doctor")
	for _, want := range []string{"l2: IP protocol 112 passes by multicast and unicast on all 6 ways", "clock: the clocks are within", "heartbeat: heartbeats and gossip pass"} {
		if !strings.Contains(text, want) {
			t.Errorf("doctor lacks %q:\n%s", want, text)
		}
	}

	s.b.Block(lab.VRRP, lab.In)
	found := examine(t, s.dc, 1)
	wantDiagnosis(t, found, "ERROR l2 lb02", "protocol 112 does not pass from lb01 to lb02 on eth0 (VI_1)")
	wantDiagnosis(t, found, "ERROR l2 lb02", "from lb03 to lb02")
	if len(found) != 2 {
		t.Errorf("doctor finds more than that lb02 is deaf:\n%s", strings.Join(found, "\n"))
	}
	s.b.Unblock(lab.VRRP)

	s.c.Block(lab.Heartbeats, lab.In)
	stranger.AddAddr(lab.Service, netip.PrefixFrom(vip, 32))
	stranger.StartKeepalived("vrrp_instance X {\n interface eth0\n virtual_router_id 51\n version 3\n priority 200\n advert_int 0.3\n virtual_ipaddress { 192.0.2.250 }\n}\n", "-D")
	lab.During(electionTime)
	found = examine(t, s.da, 1)
	wantDiagnosis(t, found, "ERROR heartbeat lb03", "heartbeats of lb01 do not reach lb03")
	wantDiagnosis(t, found, "ERROR vip", vip.String()+" is answered for by "+stranger.MAC(lab.Service).String()+", which is no member")
	wantDiagnosis(t, found, "ERROR vrid", stranger.Addr4(lab.Service).String()+" advertises virtual router 51")

	s.dc.KillAll()
	wantDiagnosis(t, examine(t, s.da, 1), "ERROR api lb03", "does not answer")
}
