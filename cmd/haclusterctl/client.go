package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// maxMessage bounds a message: a document of 16 MB beside what goes with it.
const maxMessage = 24 << 20

// connect reaches the daemon, or says why not.
func (a *app) connect() (*grpc.ClientConn, error) {
	probe, err := net.DialTimeout("unix", a.socket, 5*time.Second)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, &exitError{code: exitNoDaemon, text: fmt.Sprintf("permission denied on %s: use sudo, or join group haclusterd to read", a.socket)}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, &exitError{
			code: exitNoDaemon, text: fmt.Sprintf("haclusterd does not answer on %s: is haclusterd running?", a.socket),
			remedy: "systemctl status haclusterd; with another --run-dir, name its socket by --socket",
		}
	case err != nil:
		return nil, &exitError{code: exitNoDaemon, text: err.Error()}
	}
	probe.Close()
	options := append(a.watchVersion(),
		grpc.WithContextDialer(func(ctx context.Context, path string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}),
		grpc.WithAuthority("haclusterd"),
		grpc.WithTransportCredentials(insecure.NewCredentials()), // the kernel says who calls
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
	)
	conn, err := grpc.NewClient("passthrough:///"+a.socket, options...)
	if err != nil {
		return nil, &exitError{code: exitNoDaemon, text: err.Error()}
	}
	return conn, nil
}

// call runs f with a connection and the time that the command has.
func (a *app) call(ctx context.Context, f func(context.Context, *grpc.ClientConn) error) error {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return a.callWithout(ctx, f)
}

// callWithout is call without a limit of time, for what follows and watches.
func (a *app) callWithout(ctx context.Context, f func(context.Context, *grpc.ClientConn) error) error {
	conn, err := a.connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	return a.explain(f(ctx, conn))
}

// detailOf returns what the daemon attached to an error.
func detailOf(err error) *pb.ErrorDetail {
	for _, d := range status.Convert(err).Details() {
		if detail, ok := d.(*pb.ErrorDetail); ok {
			return detail
		}
	}
	return &pb.ErrorDetail{}
}

// explain turns the daemon's error into one for people, with its exit code.
func (a *app) explain(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*exitError](err); ok {
		return err
	}
	st, ok := status.FromError(err)
	if !ok {
		return &exitError{code: exitRefused, text: err.Error()}
	}
	detail := detailOf(err)
	e := &exitError{code: exitRefused, text: st.Message(), remedy: detail.GetRemedy(), reason: detail.GetReason()}
	a.printFindings(detail.GetFindings())
	switch detail.GetReason() {
	case pb.ErrorReason_ERROR_REASON_PERMISSION:
		e.code = exitNoDaemon
	case pb.ErrorReason_ERROR_REASON_REMOVES:
		e.code = exitUsage
	case pb.ErrorReason_ERROR_REASON_OUTCOME_UNKNOWN:
		e.code = exitUncertain
	case pb.ErrorReason_ERROR_REASON_UNSPECIFIED:
		a.explainTransport(st, e)
	}
	// A remedy that the text already gives is not said twice.
	if e.remedy != "" && strings.Contains(e.text, e.remedy) {
		e.remedy = ""
	}
	return e
}

// explainTransport words the errors that gRPC makes itself.
func (a *app) explainTransport(st *status.Status, e *exitError) {
	switch st.Code() {
	case codes.Unavailable:
		e.code, e.text = exitNoDaemon, fmt.Sprintf("haclusterd on %s went away during the call: %s", a.socket, st.Message())
		e.remedy = "journalctl -u haclusterd says why"
	case codes.DeadlineExceeded:
		e.text = fmt.Sprintf("no answer within %s", a.timeout)
		e.remedy = "give it longer by --timeout, or see haclusterctl status"
	case codes.Canceled:
		e.text = "interrupted"
	case codes.Unimplemented:
		e.text = "this haclusterd does not know the command: it is of another version than haclusterctl"
		e.remedy = "haclusterctl version shows both"
	}
}
