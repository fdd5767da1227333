package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

// kernel is an unpacked kernel package.
type kernel struct {
	image   string // vmlinuz
	modules string // the directory that holds VERSION, to be mounted on /lib/modules
	version string
}

// meta is the package that depends on Debian's present kernel.
const meta = "linux-image-amd64"

var dependency = regexp.MustCompile(`Depends: (linux-image-[0-9]\S+)`)

// unpack finds the kernel in the cache, or fetches it.
func unpack(ctx context.Context, cache string) (kernel, error) {
	if k, err := find(cache); err == nil {
		return k, nil
	}
	if err := os.RemoveAll(cache); err != nil {
		return kernel{}, err
	}
	tmp := cache + ".new"
	if err := errors.Join(os.RemoveAll(tmp), os.MkdirAll(filepath.Join(tmp, "root"), 0o755)); err != nil {
		return kernel{}, err
	}
	out, err := exec.CommandContext(ctx, "apt-cache", "depends", meta).Output()
	if err != nil {
		return kernel{}, fmt.Errorf("apt-cache depends %s: %w", meta, err)
	}
	name := dependency.FindSubmatch(out)
	if name == nil {
		return kernel{}, fmt.Errorf("package %s depends on no kernel: run apt-get update; it says:\n%s", meta, out)
	}
	for _, step := range [][]string{
		{"apt-get", "-qq", "download", string(name[1])},
		{"sh", "-c", "dpkg -x linux-image-*.deb root && rm linux-image-*.deb"},
	} {
		cmd := exec.CommandContext(ctx, step[0], step[1:]...)
		cmd.Dir = tmp
		if out, err := cmd.CombinedOutput(); err != nil {
			return kernel{}, fmt.Errorf("%v: %w: %s", step, err, out)
		}
	}
	k, err := find(tmp)
	if err != nil {
		return kernel{}, err
	}
	if out, err := exec.CommandContext(ctx, "depmod", "-b", filepath.Join(tmp, "root"), k.version).CombinedOutput(); err != nil {
		return kernel{}, fmt.Errorf("depmod: %w: %s", err, out)
	}
	if err := os.Rename(tmp, cache); err != nil {
		return kernel{}, err
	}
	return find(cache)
}

// find reads what unpack has left.
func find(dir string) (kernel, error) {
	images, err := filepath.Glob(filepath.Join(dir, "root/boot/vmlinuz-*"))
	if err != nil || len(images) != 1 {
		return kernel{}, fmt.Errorf("%d kernels in %s", len(images), dir)
	}
	return kernel{
		image:   images[0],
		modules: filepath.Join(dir, "root/lib/modules"),
		version: filepath.Base(images[0])[len("vmlinuz-"):],
	}, nil
}
