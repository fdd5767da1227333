package alert

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hacluster/hacluster/internal/run"
	"github.com/hacluster/hacluster/observed"
)

// Script delivers by running a program once for each alert, with the alert in
// its environment: HACLUSTER_ALERT (open or resolved), HACLUSTER_ALERT_ID,
// _CODE, _SEVERITY, _NODE, _UNIT, _SINCE, _RESOLVED, _SUMMARY, _EVIDENCE (one a
// line), _ACTION and _NEXT.
type Script struct{ Command run.Command }

// Deliver implements Deliverer.
func (s Script) Deliver(ctx context.Context, alerts []observed.Alert) error {
	var errs []error
	for _, a := range alerts {
		c := s.Command
		c.Env = append(c.Env[:len(c.Env):len(c.Env)], environment(a)...)
		if r := run.Run(ctx, c); !r.OK() {
			errs = append(errs, fmt.Errorf("alert script for %s: %s", a.ID, r))
		}
	}
	return errors.Join(errs...)
}

func environment(a observed.Alert) []string {
	env := []string{
		"HACLUSTER_ALERT=" + state(a),
		"HACLUSTER_ALERT_ID=" + a.ID,
		"HACLUSTER_ALERT_CODE=" + a.Code,
		"HACLUSTER_ALERT_SEVERITY=" + severity(a.Severity),
		"HACLUSTER_ALERT_NODE=" + a.Node,
		"HACLUSTER_ALERT_UNIT=" + a.Unit,
		"HACLUSTER_ALERT_SINCE=" + timestamp(a.Since),
		"HACLUSTER_ALERT_RESOLVED=" + timestamp(a.Resolved),
		"HACLUSTER_ALERT_SUMMARY=" + a.Summary,
		"HACLUSTER_ALERT_EVIDENCE=" + strings.Join(a.Evidence, "\n"),
		"HACLUSTER_ALERT_ACTION=" + a.Action,
		"HACLUSTER_ALERT_NEXT=" + a.Next,
	}
	for i := range env {
		env[i] = strings.ReplaceAll(env[i], "\x00", "") // execve takes none
	}
	return env
}
