package ipvs

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/lvs"
)

// explain says what an error number means for an operation, as far as it is
// known: the kernel has a few numbers for many reasons.
func explain(op lvs.Op, err error) error {
	if why := reason(op, err); why != "" {
		return fmt.Errorf("%s: %w", why, err)
	}
	return err
}

func reason(op lvs.Op, err error) string {
	is := func(errno unix.Errno) bool { return errors.Is(err, errno) }
	switch op := op.(type) {
	case lvs.AddService:
		if is(unix.EEXIST) {
			return "somebody else added it"
		}
		return settingsReason(op.Settings, err)
	case lvs.SetService:
		return settingsReason(op.Settings, err)
	case lvs.AddServer:
		switch {
		case is(unix.EEXIST):
			return "somebody else added it"
		case is(unix.EINVAL) && op.Server.Address.Addr().Is4() != (op.Family() == lvs.IPv4):
			return "a server of another family needs TUN, and no sync daemon may run"
		case is(unix.EINVAL):
			return "the address is none of one machine here: is a route to it there, and is lo up?"
		}
	case lvs.StartSync:
		switch {
		case is(unix.EEXIST):
			return "somebody else started one"
		case is(unix.ENODEV):
			return "there is no interface " + op.Daemon.Interface
		case is(unix.EINVAL):
			return "a server of another family than its service excludes it"
		}
	}
	if is(unix.ESRCH) || is(unix.ENOENT) {
		return "somebody else deleted it"
	}
	return ""
}

func settingsReason(s lvs.Settings, err error) string {
	switch {
	case errors.Is(err, unix.ESRCH):
		return "somebody else deleted it"
	case errors.Is(err, unix.ENOENT) && s.Persistence.Engine != "":
		return fmt.Sprintf("scheduler %s or persistence engine %s is not in this kernel: module ip_vs_%s or ip_vs_pe_%s (Debian: package linux-image-$(uname -r))",
			s.Scheduler, s.Persistence.Engine, s.Scheduler, s.Persistence.Engine)
	case errors.Is(err, unix.ENOENT):
		return fmt.Sprintf("scheduler %s is not in this kernel: module ip_vs_%s (Debian: package linux-image-$(uname -r))", s.Scheduler, s.Scheduler)
	}
	return ""
}
