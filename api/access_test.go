package api

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// dialAs connects to a unix socket as another user. SO_PEERCRED is the word of
// the thread that connects, so one thread changes its user, and ends.
func dialAs(path string, uid int) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			done <- result{nil, errno}
			return
		}
		conn, err := func() (net.Conn, error) {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return nil, err
			}
			f := os.NewFile(uintptr(fd), path)
			defer f.Close()
			if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
				return nil, err
			}
			return net.FileConn(f)
		}()
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

const nobody = 65534

func TestWhoMayOpenTheSocketReadsAndOnlyRootWrites(t *testing.T) {
	needRoot(t)
	n := newLAN(t, "lb1").nodes["lb1"]
	path := n.serve(t)
	if _, err := dialAs(path, nobody); !errors.Is(err, unix.EACCES) {
		t.Errorf("connect as nobody: %v, want %v", err, unix.EACCES)
	}
	// Membership of the group is the file system's affair; let everybody in.
	for file, mode := range map[string]os.FileMode{path: 0o666, filepath.Dir(path): 0o755, filepath.Dir(filepath.Dir(path)): 0o755} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return dialAs(path, nobody) }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	if _, err := pb.NewStatusServiceClient(conn).Get(t.Context(), &pb.GetStatusRequest{}); err != nil {
		t.Errorf("a read: %v", err)
	}
	_, err = pb.NewLifecycleServiceClient(conn).Leave(t.Context(), &pb.LeaveRequest{})
	wantReason(t, err, pb.ErrorReason_ERROR_REASON_PERMISSION)
	stream, err := pb.NewConfigServiceClient(conn).Apply(t.Context(), &pb.ApplyConfigRequest{Force: true, Text: document})
	if err == nil {
		_, err = stream.Recv()
	}
	wantReason(t, err, pb.ErrorReason_ERROR_REASON_PERMISSION)

	resp, err := pb.NewConfigServiceClient(conn).Show(t.Context(), &pb.ShowConfigRequest{})
	if err != nil || strings.Contains(resp.GetText(), "s3cret") || !strings.Contains(resp.GetText(), "auth_pass ***") {
		t.Errorf("Show for nobody = %q, %v; want the password hidden", resp.GetText(), err)
	}
	root, err := pb.NewConfigServiceClient(n.socket(t)).Show(t.Context(), &pb.ShowConfigRequest{})
	if err != nil || root.GetText() != document {
		t.Errorf("Show for root = %q, %v; want the document", root.GetText(), err)
	}
}

func TestEveryMethodIsAReadOnPurposeOrNeedsRoot(t *testing.T) {
	g := grpc.NewServer()
	for _, register := range []func(){
		func() { pb.RegisterLifecycleServiceServer(g, lifecycleService{}) }, func() { pb.RegisterTokensServiceServer(g, tokensService{}) },
		func() { pb.RegisterStatusServiceServer(g, statusService{}) }, func() { pb.RegisterNodesServiceServer(g, nodesService{}) },
		func() { pb.RegisterVipsServiceServer(g, vipsService{}) }, func() { pb.RegisterEventsServiceServer(g, eventsService{}) },
		func() { pb.RegisterAlertsServiceServer(g, alertsService{}) }, func() { pb.RegisterConfigServiceServer(g, configService{}) },
		func() { pb.RegisterHandoverServiceServer(g, handoverService{}) },
		func() { pb.RegisterDisarmServiceServer(g, disarmService{}) }, func() { pb.RegisterIncidentsServiceServer(g, incidentsService{}) },
		func() { pb.RegisterDoctorServiceServer(g, doctorService{}) }, func() { pb.RegisterServicesServiceServer(g, servicesService{}) },
	} {
		register()
	}
	var writes []string
	for name, info := range g.GetServiceInfo() {
		for _, m := range info.Methods {
			if !reads["/"+name+"/"+m.Name] {
				writes = append(writes, m.Name)
			}
		}
	}
	slices.Sort(writes)
	want := []string{"Apply", "Arm", "Confirm", "Create", "Disarm", "Examine", "Handover", "Init", "Join", "Leave", "Remove", "Restart", "Revoke", "Rollback", "Set"}
	if !slices.Equal(writes, want) {
		t.Errorf("methods that need root = %v, want %v", writes, want)
	}
}

func TestListenRefusesASocketInUse(t *testing.T) {
	n := newLAN(t, "lb1").nodes["lb1"]
	if _, err := Listen(n.serve(t)); err == nil || !strings.Contains(err.Error(), "another daemon") {
		t.Errorf("Listen on a served socket: %v", err)
	}
}
