package netif

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/nlmsg"
)

// Monitor follows links and addresses.
type Monitor struct{ log *slog.Logger }

// NewMonitor returns a Monitor; Run does the work.
func NewMonitor(log *slog.Logger) *Monitor { return &Monitor{log: log} }

// monitorRetry is the wait before netlink is opened again after an error.
const monitorRetry = 100 * time.Millisecond

// Run delivers all links in its first call of deliver, afterwards those that
// changed, until ctx is done; its error is then the context's. It calls deliver
// on its own goroutine. Renewals of leases do not wake it. On any error of
// netlink, a lost message among them, it subscribes and lists anew.
func (m *Monitor) Run(ctx context.Context, deliver func([]LinkState)) error {
	table := newLinkTable()
	first := true
	for {
		err := m.follow(ctx, table, func(changed []LinkState) {
			if len(changed) > 0 || first {
				first = false
				deliver(changed)
			}
		})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(err, unix.ENOBUFS) {
			m.log.Debug("netlink overflowed; listing links again")
			continue
		}
		m.log.Warn("netlink lost; listing links again", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(monitorRetry):
		}
	}
}

// follow subscribes, lists and delivers until an error.
func (m *Monitor) follow(ctx context.Context, table *linkTable, deliver func([]LinkState)) error {
	events, err := subscribe()
	if err != nil {
		return fmt.Errorf("subscribe to links: %w", err)
	}
	defer events.Close()
	stop := context.AfterFunc(ctx, func() { events.SetReadDeadline(time.Unix(0, 1)) })
	defer stop()

	// The list is read after the subscription began, so nothing is missed. What
	// changed between the two is applied twice, in order, which ends the same.
	if err := m.list(table); err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	deliver(table.changes())

	raw, err := events.SyscallConn()
	if err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	for {
		if err := drain(raw, buf, table); err != nil {
			return err
		}
		deliver(table.changes())
	}
}

// drain waits for messages and applies all that are there.
func drain(raw rawReader, buf []byte, table *linkTable) error {
	var failed error
	err := raw.Read(func(fd uintptr) bool {
		for read := false; ; read = true {
			n, from, err := unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
			switch {
			case errors.Is(err, unix.EINTR):
				continue
			case errors.Is(err, unix.EAGAIN):
				return read // false: wait until there is something
			case err != nil:
				failed = os.NewSyscallError("recvfrom", err)
				return true
			}
			if nl, ok := from.(*unix.SockaddrNetlink); !ok || nl.Pid != 0 {
				continue // not the kernel
			}
			for msg := range nlmsg.Messages(buf[:n]) {
				table.apply(msg)
			}
		}
	})
	return errors.Join(err, failed)
}

// rawReader is the part of syscall.RawConn that drain needs.
type rawReader interface {
	Read(func(fd uintptr) bool) error
}

// list replaces the table by what the kernel has.
func (m *Monitor) list(table *linkTable) error {
	conn, err := dialRtnl()
	if err != nil {
		return err
	}
	defer conn.Close()
	var links, addrs requests
	links.Begin(unix.RTM_GETLINK, unix.NLM_F_DUMP)
	links.Raw(make([]byte, unix.SizeofIfInfomsg)...)
	links.End()
	addrs.dumpAddrs(0)
	return errors.Join(
		conn.dump(&links, table.clear, table.apply),
		conn.dump(&addrs, table.clearAddrs, table.apply),
	)
}

// subscribe opens a socket that hears of links and addresses.
func subscribe() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	// A larger buffer only makes a loss rarer.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20)
	err = errors.Join(
		attachLeaseFilter(fd),
		os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})),
	)
	for _, group := range []int{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR} {
		err = errors.Join(err, os.NewSyscallError("setsockopt",
			unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group)))
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}
