package main

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// early are the modules that the guest needs to reach the root file system and
// its output.
var early = []string{"virtio_pci", "virtio_console", "9pnet_virtio", "9p"}

// loadOrder lists the files of the early modules and of what they need, by
// depmod's list: a line names a module and then what it needs, the next first.
func loadOrder(dir string) ([]string, error) {
	dep, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, err
	}
	var order []string
	for _, name := range early {
		for line := range strings.Lines(string(dep)) {
			module, needs, _ := strings.Cut(line, ":")
			if path.Base(module) != name+".ko" {
				continue
			}
			files := append([]string{module}, strings.Fields(needs)...)
			for _, file := range slices.Backward(files) {
				if !slices.Contains(order, file) {
					order = append(order, file)
				}
			}
		}
	}
	return order, nil
}

// writeInitrd writes an initial RAM file system with this program as /init, and
// the early modules, numbered.
func writeInitrd(name string, k kernel) error {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	var a archive
	for _, dir := range []string{"dev", "proc", "root", "modules"} {
		a.add(dir, 0o40755, nil)
	}
	a.add("init", 0o100755, self)
	dir := filepath.Join(k.modules, k.version)
	order, err := loadOrder(dir)
	if err != nil {
		return err
	}
	for i, file := range order {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return err
		}
		a.add(fmt.Sprintf("modules/%02d-%s", i, path.Base(file)), 0o100644, data)
	}
	return os.WriteFile(name, a.bytes(), 0o600)
}

// archive is a cpio archive of the "newc" format, which the kernel reads
// (Documentation/driver-api/early-userspace/buffer-format.rst).
type archive struct {
	buf   bytes.Buffer
	inode int
}

func (a *archive) add(name string, mode int, data []byte) {
	a.inode++
	fmt.Fprintf(&a.buf, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", a.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	a.buf.WriteString(name)
	a.buf.WriteByte(0)
	a.pad()
	a.buf.Write(data)
	a.pad()
}

func (a *archive) pad() {
	for a.buf.Len()%4 != 0 {
		a.buf.WriteByte(0)
	}
}

func (a *archive) bytes() []byte {
	a.add("TRAILER!!!", 0, nil)
	return a.buf.Bytes()
}
