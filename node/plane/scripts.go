package plane

import (
	"fmt"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/desired"
	"github.com/hacluster/hacluster/internal/run"
	"github.com/hacluster/hacluster/vrrp/track"
)

// withoutMissing leaves out the health scripts whose program does not exist, as
// keepalived does: nobody can tell how healthy the machine is, so it is not
// taken for sick.
func (p *Plane) withoutMissing(state desired.State) desired.State {
	var missing []string
	for _, s := range state.Scripts {
		if program := s.Command.Argv[0]; !(config.Machine{}).HasProgram(program) {
			p.o.Log.Warn("script is not tracked: its program does not exist", "script", s.Name, "program", program)
			missing = append(missing, s.Name)
		}
	}
	return state.Without(missing...)
}

func trackScripts(state desired.State) ([]track.Script, error) {
	var out []track.Script
	for _, s := range state.Scripts {
		user, err := run.Account(s.Command.User.Name, s.Command.User.Group)
		if err != nil {
			return nil, fmt.Errorf("vrrp_script %s: %w", s.Name, err)
		}
		out = append(out, track.Script{
			Name:     s.Name,
			Command:  run.Command{Argv: s.Command.Argv, User: user, Secure: state.Daemon.EnableScriptSecurity},
			Interval: s.Interval,
			Timeout:  s.Timeout,
			Rise:     s.Rise,
			Fall:     s.Fall,
			InitFail: s.InitFail,
		})
	}
	return out, nil
}
