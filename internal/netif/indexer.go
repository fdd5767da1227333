package netif

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

var errNoInterface = errors.New("no such interface")

// indexer finds interfaces by name through one socket, which stays in the
// network namespace where it was opened. It asks each time, in a microsecond:
// an interface that is made again has another index.
type indexer struct{ fd int }

func newIndexer() (*indexer, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	return &indexer{fd}, nil
}

func (i *indexer) of(name string) (int, error) {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return 0, errNoInterface // too long to be one
	}
	err = unix.IoctlIfreq(i.fd, unix.SIOCGIFINDEX, req)
	if errors.Is(err, unix.ENODEV) {
		return 0, errNoInterface
	}
	return int(req.Uint32()), os.NewSyscallError("ioctl SIOCGIFINDEX", err)
}

// name is the name of an interface.
func (i *indexer) name(index int) (string, error) {
	req, err := unix.NewIfreq("")
	if err != nil {
		return "", err
	}
	req.SetUint32(uint32(index))
	if err := unix.IoctlIfreq(i.fd, unix.SIOCGIFNAME, req); err != nil {
		return "", os.NewSyscallError("ioctl SIOCGIFNAME", err)
	}
	return req.Name(), nil
}

func (i *indexer) close() error { return os.NewSyscallError("close", unix.Close(i.fd)) }
