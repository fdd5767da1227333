package main

import (
	"context"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// watched is what a command with --watch is sent again and again.
type watched[T any] interface {
	*T
	proto.Message
	GetTime() *timestamppb.Timestamp
}

// follow shows each picture of a stream until ctx is done: as a line of JSON, as a
// page in place of the one before on a terminal, and elsewhere in one line, which is
// said again only when it has changed.
func follow[T any, P watched[T]](ctx context.Context, a *app, stream grpc.ServerStreamingClient[T], line func(P) string, page func(io.Writer, P)) error {
	last := ""
	for {
		m, err := stream.Recv()
		if ctx.Err() != nil {
			return nil // interrupted: what was asked for
		}
		if err != nil {
			return err
		}
		p := P(m)
		switch {
		case a.json():
			err = a.printJSONLine(p)
		case a.terminal:
			var b strings.Builder
			page(&b, p)
			err = a.redraw(b.String())
		default:
			now := line(p)
			if now != last {
				a.printf("%s  %s\n", a.when(p.GetTime()), now)
			}
			last = now
		}
		if err != nil {
			return err
		}
	}
}

// redraw shows a page in place of the one before: home, each line cleared to its
// end, and what is below.
func (a *app) redraw(page string) error {
	_, err := io.WriteString(a.out, "\x1b[H"+strings.ReplaceAll(page, "\n", "\x1b[K\n")+"\x1b[J")
	return err
}
