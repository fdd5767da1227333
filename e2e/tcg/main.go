package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Exit statuses that are not the command's.
const (
	exitTimeout = 124
	exitFailed  = 125
)

// job is what the guest shall run. It lies on the file system that both see.
type job struct {
	Args []string
	Env  []string
	Dir  string
	Time time.Time // the guest's clock starts with it
}

func main() {
	if os.Getpid() == 1 {
		guest()
		return
	}
	timeout := flag.Duration("timeout", 4*time.Minute, "end of the guest, from its start")
	memory := flag.Int("memory", 1024, "the guest's memory in MiB")
	cache := flag.String("cache", "dist/tcg", "directory for the unpacked kernel")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "tcg: name the command to run: tcg [-timeout D] -- COMMAND ARG...")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	status, err := run(ctx, *cache, *memory, *timeout, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "tcg:", err)
	}
	os.Exit(status)
}

func run(ctx context.Context, cache string, memory int, timeout time.Duration, args []string) (status int, err error) {
	cache, err = filepath.Abs(cache)
	if err != nil {
		return exitFailed, err
	}
	k, err := unpack(ctx, cache)
	if err != nil {
		return exitFailed, err
	}
	dir, err := os.MkdirTemp("", "tcg")
	if err != nil {
		return exitFailed, err
	}
	defer os.RemoveAll(dir)
	wd, err := os.Getwd()
	if err != nil {
		return exitFailed, err
	}
	raw, err := json.Marshal(job{args, os.Environ(), wd, time.Now()})
	if err != nil {
		return exitFailed, err
	}
	if err := os.WriteFile(filepath.Join(dir, "job"), raw, 0o600); err != nil {
		return exitFailed, err
	}
	initrd := filepath.Join(dir, "initrd")
	if err := writeInitrd(initrd, k); err != nil {
		return exitFailed, err
	}

	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	console := filepath.Join(dir, "console")
	qemu := exec.CommandContext(ctx, "qemu-system-x86_64", "-M", "q35", "-cpu", "max", "-accel", "tcg,thread=multi", "-smp", "2",
		"-m", strconv.Itoa(memory), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", k.image, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1 tcg.dir="+dir+" tcg.modules="+k.modules,
		"-fsdev", "local,id=root,path=/,security_model=none,multidevs=remap", "-device", "virtio-9p-pci,fsdev=root,mount_tag=root",
		"-chardev", "file,id=out,path=/proc/self/fd/1,append=on", "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=out,name=out",
		"-serial", "file:"+console)
	// A pipe, which the machine may open once more by its name.
	qemu.Stdout, qemu.Stderr = struct{ io.Writer }{os.Stdout}, os.Stderr
	qemu.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	err = qemu.Run()
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, errTimeout) {
			return exitTimeout, fmt.Errorf("the command did not end within %v", timeout)
		}
		return exitFailed, cause
	}
	text, readErr := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil || readErr != nil {
		said, _ := os.ReadFile(console)
		return exitFailed, fmt.Errorf("the guest failed: %w; its console:\n%s", errors.Join(err, readErr), said)
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

var errTimeout = errors.New("timeout")
