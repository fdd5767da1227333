// Command haclusterd keeps virtual addresses alive on this machine, as a
// member of a cluster or alone.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/hacluster/hacluster/internal/supervisor"
	"github.com/hacluster/hacluster/internal/version"
	"github.com/hacluster/hacluster/node"
)

// Exit codes of the daemon.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	os.Exit(run(os.Args[1:]))
}

// standaloneDefaults are read, in this order, when --standalone names no file.
var standaloneDefaults = []string{"/etc/haclusterd/haclusterd.conf", "/etc/keepalived/keepalived.conf"}

func run(args []string) int {
	flags := pflag.NewFlagSet("haclusterd", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.SetOutput(os.Stderr)
	var opts node.Options
	var (
		level, format, pidFile, check string
		showVersion, onThisNode       bool
	)
	flags.StringVar(&opts.Standalone, "standalone", "", "run this document in keepalived's language, without a cluster")
	flags.Lookup("standalone").NoOptDefVal = "default"
	flags.StringVar(&opts.Name, "name", "", "name of this node, unique in the cluster (default: the short host name)")
	flags.StringVar(&opts.DataDir, "data-dir", "/var/lib/haclusterd", "identity, keys and the replicated configuration")
	flags.StringVar(&opts.RunDir, "run-dir", "/run/haclusterd", "API socket and journal of addresses")
	flags.StringVar(&opts.Listen, "listen", "[::]:7112", "TCP and UDP address for the other members; heartbeats use the next UDP port")
	flags.StringVar(&opts.Advertise, "advertise", "", "address that the other members use (default: the source address of the default route)")
	flags.BoolVar(&opts.AcceptUnsupported, "accept-unsupported", false, "start although the document uses words that are known and not implemented")
	flags.StringVar(&check, "check", "", "validate this document and exit 0 or 1; findings go to standard error")
	flags.BoolVar(&onThisNode, "on-this-node", false, "with --check: what is missing on this machine is an error")
	flags.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&format, "log-format", "text", "text or json")
	flags.StringVar(&pidFile, "pid", "", "write the process id to this file")
	flags.BoolVar(&showVersion, "version", false, "print version, commit and Go version")
	flags.Usage = func() {
		fmt.Fprintf(os.Stderr, "haclusterd keeps virtual addresses alive on this machine.\n\n"+
			"  haclusterd                      a member of a cluster; see haclusterctl init and join\n"+
			"  haclusterd --standalone=FILE    one machine alone, as keepalived runs\n"+
			"  haclusterd --check FILE         is this document valid?\n\nFlags:\n%s", flags.FlagUsages())
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		return exitOK
	case err != nil:
		return fail(exitUsage, fmt.Errorf("%w; see haclusterd --help", err))
	}
	// --standalone takes its file with "=" or as the next word.
	rest := flags.Args()
	if opts.Standalone == "default" && len(rest) == 1 {
		opts.Standalone, rest = rest[0], nil
	}
	if len(rest) > 0 {
		return fail(exitUsage, fmt.Errorf("unexpected argument %q; see haclusterd --help", rest[0]))
	}
	if showVersion {
		fmt.Println("haclusterd", version.String())
		return exitOK
	}
	if opts.Name == "" {
		name, err := os.Hostname()
		if err != nil {
			return fail(exitFailed, fmt.Errorf("host name: %w; give --name", err))
		}
		opts.Name, _, _ = strings.Cut(name, ".")
	}
	if check != "" {
		return checkDocument(os.Stderr, check, opts.Name, onThisNode)
	}
	log, err := newLogger(os.Stderr, level, format)
	if err != nil {
		return fail(exitUsage, err)
	}
	if opts.Standalone == "default" {
		if opts.Standalone, err = firstFile(standaloneDefaults); err != nil {
			return fail(exitFailed, err)
		}
	}
	if !supervisor.IsWorker() {
		return supervise(log, opts.RunDir, pidFile)
	}
	opts.Log = log
	return work(opts)
}

// work is what the worker does.
func work(opts node.Options) int {
	var err error
	if opts.Supervisor, err = supervisor.Connect(); err != nil {
		return fail(exitFailed, err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	reload := make(chan struct{}, 1)
	dump := make(chan struct{}, 1)
	go handleSignals(cancel, reload, dump)
	go func() { // ends with the supervisor, or the process
		<-opts.Supervisor.Gone()
		cancel(errors.New("the supervisor has ended"))
	}()
	opts.Reload, opts.Dump = reload, dump
	if opts.Inherited, err = opts.Supervisor.Inherit(); err != nil {
		return fail(exitFailed, err)
	}

	if err := node.Run(ctx, opts); err != nil {
		return fail(exitFailed, err)
	}
	return exitOK
}

// handleSignals lives as long as the process. TERM and INT leave politely, however
// often they come: systemd sends one to all processes of the service, and the
// supervisor hands its own on. It is the supervisor that ends a worker at once. HUP
// reloads; USR1 writes the state to the log.
func handleSignals(cancel context.CancelCauseFunc, reload, dump chan<- struct{}) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1)
	for s := range signals {
		switch s {
		case syscall.SIGHUP:
			offer(reload)
		case syscall.SIGUSR1:
			offer(dump)
		default:
			cancel(fmt.Errorf("signal %s", s))
		}
	}
}

// offer sends without waiting: a request that nobody has taken yet covers this one.
func offer(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func firstFile(names []string) (string, error) {
	for _, name := range names {
		if _, err := os.Stat(name); err == nil {
			return name, nil
		}
	}
	return "", fmt.Errorf("--standalone: found neither %s; give a file", strings.Join(names, " nor "))
}

func fail(code int, err error) int {
	fmt.Fprintf(os.Stderr, "haclusterd: %v\n", err)
	return code
}
