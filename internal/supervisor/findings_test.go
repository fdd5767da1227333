package supervisor

import (
	"os"
	"strings"
	"testing"
)

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
