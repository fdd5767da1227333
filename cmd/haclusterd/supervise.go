package main

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/gate"
	"github.com/hacluster/hacluster/internal/supervisor"
)

// supervise runs this program again, as a worker, and watches over it.
func supervise(log *slog.Logger, runDir, pidFile string) int {
	log = log.With("component", "supervisor")
	if pidFile != "" {
		if err := os.WriteFile(pidFile, fmt.Appendf(nil, "%d\n", os.Getpid()), 0o644); err != nil {
			return fail(exitFailed, fmt.Errorf("--pid: %w", err))
		}
		defer os.Remove(pidFile)
	}

	frugal(log)
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	// Zero when systemd does not ask.
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("systemd's watchdog is not told", "err", err)
	}
	gateOptions := gate.Options{Name: runDir, Log: log, Unwatched: true}
	exit, err := supervisor.Run(supervisor.Options{
		Log:      log,
		Signals:  signals,
		Notify:   notifySystemd,
		Watchdog: watchdog,
		OpenGate: func() (supervisor.Gate, error) {
			return gate.New(gateOptions)
		},
		AdoptGate: func(files []*os.File) (supervisor.Gate, error) { return gate.FromFiles(files, gateOptions) },
	})
	if err != nil {
		return fail(exitFailed, err)
	}
	return exit
}

func notifySystemd(state string) error {
	_, err := daemon.SdNotify(false, state)
	return err
}

// What the supervisor may use of memory that the garbage collector knows, and of
// processors: it has next to nothing to do.
const (
	supervisorMemory     = 8 << 20
	supervisorProcessors = 2
)

// frugal makes this process small, and keeps what it has in memory: a will is
// carried out when the machine is in trouble.
func frugal(log *slog.Logger) {
	debug.SetMemoryLimit(supervisorMemory)
	debug.SetGCPercent(25)
	runtime.GOMAXPROCS(supervisorProcessors)
	debug.FreeOSMemory()
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
		log.Debug("memory not locked", "err", err)
	}
}
