package director

import (
	"errors"
	"fmt"

	"github.com/hacluster/hacluster/lvs"
)

// Validate returns all that cannot be directed, and what no kernel takes of what
// may be wanted of it.
func (d Desired) Validate() error {
	var errs []error
	names := make(map[string]bool, len(d.Services))
	all := lvs.Desired{Sync: d.Sync, Drain: d.Drain}
	for i := range d.Services {
		s := &d.Services[i]
		switch {
		case s.Name == "":
			errs = append(errs, fmt.Errorf("service %d has no name", i+1))
		case names[s.Name]:
			errs = append(errs, fmt.Errorf("service %s: listed twice", s.Name))
		}
		names[s.Name] = true
		for _, err := range s.problems() {
			errs = append(errs, fmt.Errorf("service %s: %w", s.Name, err))
		}
		all.Services = append(all.Services, s.everything()...)
	}
	return errors.Join(append(errs, all.Validate())...)
}

func (s *Service) problems() (errs []error) {
	if len(s.Keys) == 0 {
		errs = append(errs, errors.New("has no address and no mark"))
	}
	if h := uint64(s.Hysteresis); h >= s.quorum() {
		errs = append(errs, fmt.Errorf("hysteresis %d is not below quorum %d; use 0 to %d", h, s.quorum(), s.quorum()-1))
	}
	for _, server := range s.Servers {
		for i, c := range server.Checks {
			if c.Checker == nil {
				errs = append(errs, fmt.Errorf("server %v: check %d checks nothing", server.Address, i+1))
			}
		}
	}
	return errs
}

// everything is the services with all servers at once, and the sorry server.
func (s *Service) everything() []lvs.Service {
	servers := make([]lvs.Server, 0, len(s.Servers)+1)
	for i := range s.Servers {
		servers = append(servers, s.Servers[i].Server)
	}
	if s.Sorry != nil && find(servers, s.Sorry.Address) < 0 {
		servers = append(servers, s.Sorry.Server)
	}
	return s.spread(servers)
}
