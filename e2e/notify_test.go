package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// Notify scripts keep keepalived's arguments, and with policy quorum they learn by
// which ballot their node holds. A later holder's is higher.
func TestNotifyScriptsLearnTheBallot(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	watch := lan.Watch(vip)
	var daemons []*lab.Daemon
	for _, name := range []string{"lb01", "lb02", "lb03"} {
		daemons = append(daemons, lan.Node(name).StartMember(lab.Control))
	}
	journal := daemons[0].Node.TempDir() + "/notified"
	script := daemons[0].Node.WriteScript("notify", fmt.Sprintf(`echo "$* ballot=$HACLUSTER_BALLOT" >> %s`, journal))
	lab.Form(t, "global_defs {\n script_user root\n}\n"+trioConf(fmt.Sprintf(
		"@lb01 notify %[1]s\n@lb02 notify %[1]s\n@lb01 notify_master \"%[1]s master of lb01\"", script)), daemons...)
	watch.WantHolder(daemons[0].Node, vip, electionTime+3*masterDown(150))
	wantLine(t, journal, "INSTANCE VI_1 MASTER 150 ballot=") // no lease: no ballot

	daemons[0].MustCtl("config", "set", "vrrp_instance VI_1 split_brain", "policy", "quorum")
	lab.During(4 * time.Second) // all vote by the last electorate
	daemons[0].MustCtl("handover", "VI_1", "--to", "lb02")
	watch.WantHolder(daemons[1].Node, vip, 3*time.Second)
	second := ballotOf(t, journal, `INSTANCE VI_1 MASTER 120 ballot=(\d+)\n`)
	first := ballotOf(t, journal, `INSTANCE VI_1 BACKUP 150 ballot=(\d+)\n`)
	daemons[1].MustCtl("handover", "VI_1", "--to", "lb01")
	watch.WantHolder(daemons[0].Node, vip, 3*time.Second)
	third := ballotOf(t, journal, `master of lb01 ballot=(\d+)\n`)
	if first >= second || second >= third {
		t.Errorf("ballots %d, %d, %d of three tenures; want them to rise", first, second, third)
	}
}

// ballotOf waits until a script has written a line, and returns the number in it.
func ballotOf(t *testing.T, journal, line string) (ballot int) {
	t.Helper()
	lab.Want(t, 5*time.Second, "a script has said "+line, func() (string, bool) {
		text, err := os.ReadFile(journal)
		if err != nil {
			return err.Error(), false
		}
		m := regexp.MustCompile(line).FindSubmatch(text)
		if m == nil {
			return string(text), false
		}
		ballot, err = strconv.Atoi(string(m[1]))
		return string(text), err == nil
	})
	return ballot
}
