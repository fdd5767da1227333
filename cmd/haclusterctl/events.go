package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) eventsCommand() *cobra.Command {
	req := &pb.ListEventsRequest{}
	var since span
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show what happened on every node, and why",
		Long: `Events prints what happened on every node, the oldest first: changes of state,
revisions, members, hand-overs, alerts, each with its reason and evidence.

With -f it goes on; -o json then prints one object on each line.`,
		Example: example("haclusterctl events", "haclusterctl events -f", "haclusterctl events --unit VI_1 --since 1h", "haclusterctl events -f -o json | jq -r .reason"),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if since > 0 {
				req.Since = timestamppb.New(a.now().Add(-time.Duration(since)))
			}
			return a.follow(cmd.Context(), req.GetFollow(), func(ctx context.Context, conn *grpc.ClientConn) error {
				stream, err := pb.NewEventsServiceClient(conn).List(ctx, req)
				if err != nil {
					return err
				}
				shown := 0
				err = printStream(a, stream, "events", req.GetFollow(), func(e *pb.Event) {
					shown++
					a.printEvent(e)
				})
				if err == nil && shown == 0 && !a.json() {
					fmt.Fprintln(a.err, "no events")
				}
				return err
			})
		},
	}
	a.readFlags(cmd)
	flags := cmd.Flags()
	flags.BoolVarP(&req.Follow, "follow", "f", false, "go on, and show events as they happen")
	flags.Uint32VarP(&req.Limit, "limit", "n", 50, "at most so many past events; 0: all that are kept")
	flags.StringVar(&req.Node, "node", "", "only events of this node")
	flags.StringVar(&req.Unit, "unit", "", "only events of this sync group or instance")
	flags.Var(&since, "since", "only events of this last time: 10s, 5m, 2h; a plain number is seconds")
	cmd.RegisterFlagCompletionFunc("node", a.completeNodes)
	cmd.RegisterFlagCompletionFunc("unit", a.completeUnits)
	return cmd
}

// span is a time with its unit, or a plain number of seconds.
type span time.Duration

func (s *span) String() string { return "" }
func (s *span) Type() string   { return "time" }
func (s *span) Set(text string) error {
	if _, err := strconv.ParseUint(text, 10, 32); err == nil {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return errors.New("use a time such as 10s, 5m or 2h; a plain number is seconds")
	}
	*s = span(d)
	return nil
}

// follow gives a command that follows all the time it wants, and any other one
// what --timeout says. An interrupt ends following well.
func (a *app) follow(ctx context.Context, follow bool, f func(context.Context, *grpc.ClientConn) error) error {
	if !follow {
		return a.call(ctx, f)
	}
	err := a.callWithout(ctx, f)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// printStream prints the messages of a stream: as text, as one JSON object on
// each line when it follows, else as one JSON document with a list.
func printStream[M any](a *app, stream grpc.ServerStreamingClient[M], name string, follow bool, text func(*M)) error {
	list := []json.RawMessage{}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		switch message := any(m).(proto.Message); {
		case !a.json():
			text(m)
		case follow:
			if err := a.printJSONLine(message); err != nil {
				return err
			}
		default:
			list = append(list, appendMessage(nil, message.ProtoReflect()))
		}
	}
	if !a.json() || follow {
		return nil
	}
	out, err := json.MarshalIndent(map[string][]json.RawMessage{name: list}, "", "  ")
	if err != nil {
		return err
	}
	_, err = a.out.Write(append(out, '\n'))
	return err
}

func (a *app) printEvent(e *pb.Event) {
	subject := e.GetUnit()
	if i := e.GetInstance(); i != "" && i != subject {
		subject = strings.TrimPrefix(subject+"/"+i, "/")
	}
	change := e.GetTo()
	if e.GetFrom() != "" {
		change = e.GetFrom() + " → " + e.GetTo()
	}
	words := []string{a.style(dim, a.when(e.GetTime())), a.style(bold, e.GetNode()), e.GetKind()}
	for _, w := range []string{subject, a.style(eventStyle(e), change), e.GetReason()} {
		if w != "" {
			words = append(words, w)
		}
	}
	a.printf("%s\n", strings.Join(words, "  "))
	for _, line := range e.GetEvidence() {
		a.printf("    %s\n", a.style(dim, line))
	}
}

func eventStyle(e *pb.Event) style {
	switch e.GetTo() {
	case "MASTER", "resolved", "returned", "joined":
		return green
	case "FAULT", "lost":
		return red
	case "open":
		return yellow
	}
	return noStyle
}
