package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/user"
	"strconv"
	"time"

	"google.golang.org/grpc"

	"github.com/hacluster/hacluster/cluster"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// Group is the account group whose members may read.
const Group = "haclusterd"

// maxMessage bounds a message: a document of 16 MB beside what goes with it.
const maxMessage = 24 << 20

// Server serves the API of one node.
type Server struct{ o Options }

// New returns a Server. It does nothing until Serve or Register.
func New(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Server{o: o}
}

// Listen makes the unix socket at path, in place of one that a dead daemon
// left behind: mode 0660, owned by root and the group haclusterd if it exists.
func Listen(path string) (net.Listener, error) {
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return nil, fmt.Errorf("listen on %s: another daemon serves it; give this one its own --run-dir", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if g, err := user.LookupGroup(Group); err == nil {
		if gid, err := strconv.Atoi(g.Gid); err == nil {
			if err := os.Chown(path, -1, gid); err != nil {
				l.Close()
				return nil, err
			}
		}
	}
	if err := os.Chmod(path, 0o660); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Serve serves the unix socket until ctx is done. Calls that run then have two
// seconds to end.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	g := grpc.NewServer(
		grpc.Creds(peerCredentials{}),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
		grpc.UnaryInterceptor(s.unary), grpc.StreamInterceptor(s.stream),
	)
	pb.RegisterLifecycleServiceServer(g, lifecycleService{s: s})
	pb.RegisterTokensServiceServer(g, tokensService{s: s})
	pb.RegisterStatusServiceServer(g, statusService{s: s})
	pb.RegisterNodesServiceServer(g, nodesService{s: s})
	pb.RegisterVipsServiceServer(g, vipsService{s: s})
	pb.RegisterEventsServiceServer(g, eventsService{s: s})
	pb.RegisterAlertsServiceServer(g, alertsService{s: s})
	pb.RegisterConfigServiceServer(g, configService{s: s})
	pb.RegisterHandoverServiceServer(g, handoverService{s: s})
	pb.RegisterDisarmServiceServer(g, disarmService{s: s})
	pb.RegisterDoctorServiceServer(g, doctorService{s: s})
	pb.RegisterIncidentsServiceServer(g, incidentsService{s: s})
	pb.RegisterServicesServiceServer(g, servicesService{s: s})
	pb.RegisterWeightsServiceServer(g, weightsService{s: s})

	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		force := time.AfterFunc(2*time.Second, g.Stop)
		defer force.Stop()
		g.GracefulStop()
	})
	err := g.Serve(l)
	if stop() {
		return err // Serve failed by itself
	}
	<-stopped
	return context.Cause(ctx)
}

// Register adds what members ask each other to the server of the TLS port,
// where every caller is a member. It fits cluster.Options.Register.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	pb.RegisterAgentServiceServer(r, agentService{s: s})
	pb.RegisterEventsServiceServer(r, eventsService{s: s})
	pb.RegisterAlertsServiceServer(r, alertsService{s: s})
	pb.RegisterIncidentsServiceServer(r, incidentsService{s: s})
	pb.RegisterServicesServiceServer(r, servicesService{s: s})
}

// waiting says that this node is in no cluster, but could be.
func (s *Server) waiting() bool {
	if s.o.Cluster == nil {
		return false
	}
	state := s.o.Cluster.Status().State
	return state == cluster.Waiting || state == cluster.Joining
}

// member returns an error unless this node is a member of a cluster.
func (s *Server) member() error {
	switch {
	case s.o.Cluster == nil:
		return errStandalone
	case s.waiting():
		return cluster.ErrNotMember
	case s.removed():
		return errRemoved
	}
	return nil
}

// removed says that the other members removed this node, and it has not left yet.
func (s *Server) removed() bool {
	return s.o.Cluster != nil && s.o.Cluster.Status().State == cluster.Removed
}
