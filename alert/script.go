package alert

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/run"
)

// Script delivers by running a program once for each change, with the alert in
// its environment: HACLUSTER_ALERT (open or resolved), HACLUSTER_ALERT_ID,
// _KIND, _SEVERITY, _NODE, _UNIT, _SINCE, _RESOLVED, _SUMMARY, _EVIDENCE (one a
// line) and _REMEDY.
type Script struct{ Command run.Command }

// Deliver implements Deliverer.
func (s Script) Deliver(ctx context.Context, changes []Alert) error {
	var errs []error
	for _, a := range changes {
		c := s.Command
		c.Env = append(c.Env[:len(c.Env):len(c.Env)], environment(a)...)
		if r := run.Run(ctx, c); !r.OK() {
			errs = append(errs, fmt.Errorf("alert script for %s: %s", a.ID, r))
		}
	}
	return errors.Join(errs...)
}

func environment(a Alert) []string {
	env := []string{
		"HACLUSTER_ALERT=" + a.State(),
		"HACLUSTER_ALERT_ID=" + a.ID,
		"HACLUSTER_ALERT_KIND=" + a.Kind,
		"HACLUSTER_ALERT_SEVERITY=" + a.Severity.String(),
		"HACLUSTER_ALERT_NODE=" + a.Node,
		"HACLUSTER_ALERT_UNIT=" + a.Unit,
		"HACLUSTER_ALERT_SINCE=" + timestamp(a.Since),
		"HACLUSTER_ALERT_RESOLVED=" + timestamp(a.Resolved),
		"HACLUSTER_ALERT_SUMMARY=" + a.Summary,
		"HACLUSTER_ALERT_EVIDENCE=" + strings.Join(a.Evidence, "\n"),
		"HACLUSTER_ALERT_REMEDY=" + a.Remedy,
	}
	for i := range env {
		env[i] = strings.ReplaceAll(env[i], "\x00", "") // execve takes none
	}
	return env
}

// timestamp is RFC 3339 in UTC with milliseconds; the zero time is empty.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
