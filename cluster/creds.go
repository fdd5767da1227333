package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/hacluster/hacluster/cluster/pki"
)

// handedOn are gRPC's server credentials for connections whose handshake the port
// has done already: they pass on what it found.
type handedOn struct{}

// ServerHandshake implements credentials.TransportCredentials.
func (handedOn) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	t, ok := conn.(*tls.Conn)
	if !ok {
		return nil, nil, fmt.Errorf("cluster: connection is %T, want TLS", conn)
	}
	return conn, credentials.TLSInfo{
		State:          t.ConnectionState(),
		CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
	}, nil
}

// ClientHandshake implements credentials.TransportCredentials; there are no
// clients with these credentials.
func (handedOn) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("cluster: server credentials used by a client")
}

// Info implements credentials.TransportCredentials.
func (handedOn) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone implements credentials.TransportCredentials.
func (c handedOn) Clone() credentials.TransportCredentials { return c }

// OverrideServerName implements credentials.TransportCredentials; names are in
// URIs here and are not overridden.
func (handedOn) OverrideServerName(string) error { return nil }

// caller returns the node that a call's certificate names, and its key; ok is
// false when it showed none.
func caller(ctx context.Context) (node string, key pki.KeyID, ok bool) {
	p, _ := peer.FromContext(ctx)
	if p == nil {
		return "", pki.KeyID{}, false
	}
	info, isTLS := p.AuthInfo.(credentials.TLSInfo)
	if !isTLS || len(info.State.PeerCertificates) == 0 {
		return "", pki.KeyID{}, false
	}
	node, err := pki.NodeOf(info.State.PeerCertificates[0])
	if err != nil {
		return "", pki.KeyID{}, false
	}
	return node, pki.KeyIDOf(info.State.PeerCertificates[0]), true
}
