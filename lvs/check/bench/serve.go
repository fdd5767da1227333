package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ports of all addresses of loopback: what listens there accepts, there is
// nothing, or the kernel answers nobody because a queue is full.
type ports struct{ Accept, Refuse, Silent int }

// serve is the process that is checked. It ends with its standard input.
func serve() error {
	accepting, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := accepting.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	nothing, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return err
	}
	p := ports{Accept: port(accepting), Refuse: port(nothing)}
	nothing.Close()
	if p.Silent, err = full(); err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(p); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// full listens with a queue, fills it, and returns its port. Descriptors stay
// open until the process ends.
func full() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{}); err != nil {
		return 0, os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		return 0, os.NewSyscallError("listen", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	number := name.(*unix.SockaddrInet4).Port
	for range 8 {
		if _, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", number), 200*time.Millisecond); err != nil {
			return number, nil
		}
	}
	return 0, fmt.Errorf("the queue of port %d does not fill up", number)
}
