package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Disk is a file system of a daemon's own for its data directory, to be filled
// or frozen.
type Disk struct {
	t   T
	dir string
}

// diskSize is room for a small cluster's state. ext4 asks for some of it.
const diskSize = 32 << 20

// StartMemberOnDisk is StartMember with the data directory on a disk of its own:
// one in memory, or an ext4 file system, which can be frozen.
func (n *Node) StartMemberOnDisk(mesh Network, ext4 bool, flags ...string) (*Daemon, *Disk) {
	n.t.Helper()
	dir := n.tempDir("haclusterd")
	d := n.daemon(dir, append([]string{"--advertise=" + n.Addr4(mesh).String()}, flags...))
	disk, err := newDisk(n.t, d.DataDir, ext4)
	if err != nil {
		n.t.Fatalf("lab: node %s: %v", n.Name, err)
	}
	d.start()
	return d, disk
}

func newDisk(t T, dir string, ext4 bool) (*Disk, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if !ext4 {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=700", diskSize)); err != nil {
			return nil, fmt.Errorf("mount a small tmpfs on %s: %w", dir, err)
		}
	} else {
		image := dir + ".image"
		err := os.WriteFile(image, nil, 0o600)
		if err == nil {
			err = os.Truncate(image, diskSize)
		}
		if err != nil {
			return nil, err
		}
		for _, argv := range [][]string{{"mkfs.ext4", "-q", image}, {"mount", "-o", "loop", image, dir}} {
			if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
				return nil, fmt.Errorf("%v: %w\n%s", argv, err, out)
			}
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			return nil, err
		}
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return &Disk{t, dir}, nil
}

// Fill leaves no byte free.
func (d *Disk) Fill() {
	d.t.Helper()
	f, err := os.Create(filepath.Join(d.dir, "filler"))
	if err != nil {
		d.t.Fatalf("lab: fill %s: %v", d.dir, err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err = f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	if !errors.Is(err, unix.ENOSPC) {
		d.t.Fatalf("lab: fill %s: %v", d.dir, err)
	}
}

// Empty gives the room back.
func (d *Disk) Empty() {
	d.t.Helper()
	if err := os.Remove(filepath.Join(d.dir, "filler")); err != nil {
		d.t.Fatalf("lab: empty %s: %v", d.dir, err)
	}
}

// Freeze makes every write to the disk wait until Thaw, or for the given time
// at most: what waits cannot be killed.
func (d *Disk) Freeze(longest time.Duration) {
	d.t.Helper()
	if err := d.ioctl(fiFreeze); err != nil {
		d.t.Fatalf("lab: freeze %s: %v", d.dir, err)
	}
	timer := time.AfterFunc(longest, d.Thaw)
	d.t.Cleanup(func() {
		timer.Stop()
		d.Thaw()
	})
}

// Thaw lets the writes go on; one that is not frozen stays as it is.
func (d *Disk) Thaw() { _ = d.ioctl(fiThaw) }

// FIFREEZE and FITHAW of linux/fs.h.
const (
	fiFreeze = 0xc0045877
	fiThaw   = 0xc0045878
)

func (d *Disk) ioctl(request uint) error {
	fd, err := unix.Open(d.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.IoctlSetInt(fd, request, 0)
}
