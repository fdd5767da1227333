// Command boot runs a command in a guest whose kernel has IPVS (package guest):
//
//	boot [-timeout 10m] [-memory 1024] COMMAND [ARG...]
//
// Its exit status is the command's, or 125 if the guest failed or was too late.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/e2e/lab/guest"
)

func main() {
	guest.Main()
	timeout := flag.Duration("timeout", 10*time.Minute, "for boot and command together")
	memory := flag.Int64("memory", 1024, "of the guest, in `MiB`")
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	os.Exit(run(*timeout, *memory<<20, flag.Args()))
}

func run(timeout time.Duration, memory int64, argv []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("not done after %v", timeout))
	defer cancel()
	status, err := guest.Run(ctx, guest.Options{Memory: memory, Stdout: os.Stdout, Stderr: os.Stderr}, argv...)
	if err != nil {
		fmt.Fprintln(os.Stderr, "boot:", err)
		return 125
	}
	return status
}
