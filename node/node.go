package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/hacluster/hacluster/internal/supervisor"
)

// Options are what the daemon's flags say.
type Options struct {
	Name       string // of this node, 1 to 63 of a-z 0-9 . -
	Standalone string // document to run without a cluster; empty: cluster
	DataDir    string
	RunDir     string
	Listen     string // of the TLS port, host:port
	Advertise  string // host or host:port; empty: from the default route
	// AcceptUnsupported lets a document run that uses words which are known,
	// not implemented, and matter.
	AcceptUnsupported bool

	// Supervisor keeps this process's last will. Required.
	Supervisor *supervisor.Worker

	// Inherited is what the process before handed over; empty: there was none.
	Inherited []byte

	Log    *slog.Logger
	Reload <-chan struct{} // read the document again
	Dump   <-chan struct{} // write the state to the log
}

// Run runs one node until ctx is done. Its addresses are gone when it returns.
// What it returns is nil after a polite end.
func Run(ctx context.Context, o Options) error {
	if err := checkName(o.Name); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("not root: adding addresses and raw sockets need CAP_NET_ADMIN and CAP_NET_RAW; use sudo, or systemctl start haclusterd")
	}
	if err := os.MkdirAll(o.RunDir, 0o755); err != nil {
		return fmt.Errorf("run directory: %w", err)
	}
	stopping := context.AfterFunc(ctx, func() { o.notifySystemd(systemdStopping) })
	defer stopping()
	var err error
	if o.Standalone != "" {
		err = runStandalone(ctx, o)
	} else {
		err = runMember(ctx, o)
	}
	cause := context.Cause(ctx)
	if cause == nil || !errors.Is(err, cause) {
		return err
	}
	// The end that was asked for is no failure.
	if err.Error() != cause.Error() {
		o.Log.Warn("not everything ended well", "err", err)
	}
	o.Log.Info("stopped", "reason", cause)
	return nil
}

func checkName(name string) error {
	ok := len(name) >= 1 && len(name) <= 63
	for _, r := range name {
		ok = ok && (r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-')
	}
	if !ok {
		return fmt.Errorf("node name %q is not 1 to 63 of a-z 0-9 . -; give --name", name)
	}
	return nil
}

// What systemd is told (sd_notify(3)), through the supervisor.
const (
	systemdReady     = "READY=1"
	systemdReloading = "RELOADING=1"
	systemdStopping  = "STOPPING=1"
)

func (o *Options) notifySystemd(state string) {
	if err := o.Supervisor.Notify(state); err != nil {
		o.Log.Warn("systemd was not told", "state", state, "err", err)
	}
}
