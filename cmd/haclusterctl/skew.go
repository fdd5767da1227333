package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/hacluster/hacluster/internal/version"
)

// versionHeader is the header with which the daemon says its version.
const versionHeader = "haclusterd-version"

// warnOfSkew says once when the daemon is more than one release away: what it
// answers may not be what this program expects.
func (a *app) warnOfSkew(header metadata.MD) {
	daemon := header.Get(versionHeader)
	if a.warned || len(daemon) == 0 || !tooFar(version.Version, daemon[0]) {
		return
	}
	a.warned = true
	fmt.Fprintf(a.err, "haclusterctl %s and haclusterd %s are more than one release apart; use the haclusterctl that came with the daemon\n", version.Version, daemon[0])
}

// tooFar says whether two versions MAJOR.MINOR.PATCH are of different major
// versions, or more than one minor version apart. What is no release (dev) is
// never too far.
func tooFar(a, b string) bool {
	majorA, minorA, okA := release(a)
	majorB, minorB, okB := release(b)
	if !okA || !okB {
		return false
	}
	return majorA != majorB || max(minorA, minorB)-min(minorA, minorB) > 1
}

func release(v string) (major, minor int, ok bool) {
	parts := strings.SplitN(strings.TrimPrefix(v, "v"), ".", 3)
	if len(parts) < 2 {
		return 0, 0, false
	}
	major, errMajor := strconv.Atoi(parts[0])
	minor, errMinor := strconv.Atoi(parts[1])
	return major, minor, errMajor == nil && errMinor == nil
}

// watchVersion makes every call look at the daemon's version.
func (a *app) watchVersion() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			var header metadata.MD
			err := invoke(ctx, method, req, reply, conn, append(opts, grpc.Header(&header))...)
			a.warnOfSkew(header)
			return err
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, stream grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			s, err := stream(ctx, desc, conn, method, opts...)
			if err != nil {
				return nil, err
			}
			return &versionedStream{ClientStream: s, a: a}, nil
		}),
	}
}

// versionedStream looks at the daemon's version with the first message.
type versionedStream struct {
	grpc.ClientStream
	a      *app
	looked bool
}

// RecvMsg implements grpc.ClientStream.
func (s *versionedStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if !s.looked {
		s.looked = true
		if header, headerErr := s.Header(); headerErr == nil {
			s.a.warnOfSkew(header)
		}
	}
	return err
}
