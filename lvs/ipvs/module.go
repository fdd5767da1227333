package ipvs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrMissing says that the kernel has no IPVS, and that it could not be loaded.
var ErrMissing = errors.New("the kernel has no IPVS: module ip_vs cannot be loaded (Debian: install linux-image-$(uname -r), not a cloud or container kernel)")

// familyOrLoad resolves the family, and loads the module first if need be. The kernel
// loads schedulers for itself, but not this one.
func (s socket) familyOrLoad(ctx context.Context) (uint16, error) {
	family, err := s.resolve(ctx)
	if !errors.Is(err, unix.ENOENT) {
		return family, err
	}
	loadErr := modprobe(ctx, "ip_vs")
	family, err = s.resolve(ctx)
	if errors.Is(err, unix.ENOENT) {
		return 0, errors.Join(ErrMissing, loadErr)
	}
	return family, err
}

// modprobe runs the program that the kernel itself uses to load modules.
func modprobe(ctx context.Context, module string) error {
	b, err := os.ReadFile("/proc/sys/kernel/modprobe")
	if err != nil {
		return err
	}
	program := strings.TrimSpace(string(b))
	if program == "" {
		return fmt.Errorf("load module %s: loading of modules is switched off", module)
	}
	if out, err := exec.CommandContext(ctx, program, module).CombinedOutput(); err != nil {
		return fmt.Errorf("load module %s: %w: %s", module, err, strings.TrimSpace(string(out)))
	}
	return nil
}
