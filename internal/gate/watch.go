package gate

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/nlmsg"
)

// subscribe opens a socket that hears of links, qdiscs and filters.
func subscribe() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	// A larger buffer only makes a loss rarer.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 1<<20)
	err = os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
	for _, group := range []int{unix.RTNLGRP_LINK, unix.RTNLGRP_TC} {
		err = errors.Join(err, os.NewSyscallError("setsockopt",
			unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group)))
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}

// retryLinks is how long after a failure links are guarded again.
const retryLinks = 5 * time.Second

// watch reads the news until ctx is done. It owns the reading of g.news.
func (g *Gate) watch(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = g.news.SetReadDeadline(time.Unix(0, 1)) })
	defer stop()
	// What happened between New and now is in the socket.
	buf := make([]byte, 64<<10)
	for {
		if err := g.news.SetReadDeadline(g.nextTry()); err != nil {
			return fmt.Errorf("gate: %w", err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := g.news.Read(buf)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, unix.ENOBUFS):
			// Links that could not be guarded, or news that were lost.
			if err := g.guardAll(); err != nil {
				g.opts.Log.Warn("links are not followed", "err", err)
			}
		case err != nil:
			return fmt.Errorf("gate: read news of links: %w", err)
		default:
			g.heed(buf[:n])
		}
	}
}

// nextTry is when links that are not guarded are to be tried again; zero: never.
func (g *Gate) nextTry() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.links {
		if l.err != nil && !errors.Is(l.err, errNoHeader) {
			return time.Now().Add(retryLinks)
		}
	}
	return time.Time{}
}

// heed does what messages of the kernel call for: links that are new or changed
// their master, and links that lost our filters, each once.
func (g *Gate) heed(b []byte) {
	lost := make(map[int]bool)
	for m := range nlmsg.Messages(b) {
		switch m.Type {
		case unix.RTM_NEWLINK:
			if index, master, ok := linkOf(m); ok {
				if was := g.known(index); was.name == "" || was.master != master {
					lost[index] = lost[index] || false
				}
			}
		case unix.RTM_DELLINK:
			if index, _, ok := linkOf(m); ok {
				g.forget(index)
				delete(lost, index)
			}
		case unix.RTM_DELTFILTER, unix.RTM_DELQDISC:
			if index, ok := g.robbed(m); ok {
				lost[index] = true
			}
		}
	}
	for index, robbed := range lost {
		link, err := g.route.LinkByIndex(index)
		if err != nil {
			continue // gone again: that comes as news too
		}
		name := link.Attrs().Name
		err = g.guard(link)
		if !robbed || err == nil && !g.known(index).guarded {
			continue // new, or a port by now
		}
		g.opts.Log.Error("somebody removed the kernel gate from a link", "iface", name, "restored", err == nil)
		g.tell(name, err)
	}
}

func (g *Gate) forget(index int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.links, index)
}

// linkOf reads struct ifinfomsg. News of a bridge about its ports say nothing here.
func linkOf(m nlmsg.Message) (index, master int, ok bool) {
	if len(m.Data) < unix.SizeofIfInfomsg || m.Data[0] == unix.AF_BRIDGE {
		return 0, 0, false
	}
	index = int(int32(binary.NativeEndian.Uint32(m.Data[4:])))
	for kind, value := range nlmsg.Attributes(m.Data[unix.SizeofIfInfomsg:]) {
		if kind == unix.IFLA_MASTER {
			master = int(nlmsg.Uint(value))
		}
	}
	return index, master, true
}

// robbed reads struct tcmsg, and says whether a link that is guarded lost our
// filter, or everything.
func (g *Gate) robbed(m nlmsg.Message) (index int, ours bool) {
	const tcBytes, tcIfindex, tcHandle, tcInfo = 20, 4, 8, 16
	if len(m.Data) < tcBytes {
		return 0, false
	}
	index = int(int32(binary.NativeEndian.Uint32(m.Data[tcIfindex:])))
	handle := binary.NativeEndian.Uint32(m.Data[tcHandle:])
	if !g.known(index).guarded {
		return 0, false
	}
	if m.Type == unix.RTM_DELQDISC {
		return index, handle>>16 == 0xffff
	}
	pref := binary.NativeEndian.Uint32(m.Data[tcInfo:]) >> 16
	// Without a handle, or without a preference, all of them are gone.
	return index, (pref == preference || pref == 0) && (handle == g.handle || handle == 0)
}
