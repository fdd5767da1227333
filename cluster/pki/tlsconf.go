package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Server returns the TLS settings of the node's listener for the given ALPN
// protocols. A client without certificate is let in, because a machine that
// joins has none yet: what it may do is the caller's to decide. A client that
// shows a certificate must show one of this cluster.
func (id *Identity) Server(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{id.pair},
		ClientAuth:   tls.VerifyClientCertIfGiven,
		ClientCAs:    id.roots,
		NextProtos:   protocols,
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return nil
			}
			return id.checkPeer(state.PeerCertificates[0], "")
		},
	}
}

// Client returns the TLS settings for a connection to the named node with one
// ALPN protocol; an empty name means any node of the cluster.
func (id *Identity) Client(node, protocol string) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{id.pair},
		NextProtos:   []string{protocol},
		// Nodes have a URI and no host name, so the standard check of the name
		// cannot be used; VerifyConnection does the whole check instead.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if err := verifyChain(state.PeerCertificates, id.roots, time.Now()); err != nil {
				if got := authorityOf(state.PeerCertificates); got != nil && PinOf(got) != id.Pin() {
					return &WrongClusterError{Want: id.Pin().String(), Got: PinOf(got).String()}
				}
				return err
			}
			return id.checkPeer(state.PeerCertificates[0], node)
		},
	}
}

// checkPeer checks that a certificate with a good chain is for this cluster,
// and for the node of the given name unless that is empty.
func (id *Identity) checkPeer(cert *x509.Certificate, node string) error {
	got, err := NodeOf(cert)
	if err != nil {
		return err
	}
	if cluster := cert.URIs[0].Host; cluster != id.clusterID {
		return &WrongClusterError{Want: id.clusterID, Got: cluster}
	}
	if node != "" && got != node {
		return fmt.Errorf("certificate is for node %s, want node %s: does the address belong to another node?", got, node)
	}
	return nil
}

// PinnedClient returns the TLS settings of a machine that joins: it has no
// certificate, and believes the cluster whose authority has the pin. A server
// with another authority fails the handshake with a WrongClusterError, before
// anything was sent to it.
func PinnedClient(pin Pin, protocol string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{protocol},
		InsecureSkipVerify: true, // VerifyConnection does the whole check
		VerifyConnection: func(state tls.ConnectionState) error {
			ca := authorityOf(state.PeerCertificates)
			if ca == nil {
				return errors.New("server shows no certificate authority: it is not a member of a hacluster cluster")
			}
			if got := PinOf(ca); got != pin {
				return &WrongClusterError{Want: pin.String(), Got: got.String()}
			}
			roots := x509.NewCertPool()
			roots.AddCert(ca)
			if err := verifyChain(state.PeerCertificates, roots, time.Now()); err != nil {
				return err
			}
			cluster, err := ClusterOf(ca)
			if err != nil {
				return err
			}
			if _, err := NodeOf(state.PeerCertificates[0]); err != nil {
				return err
			}
			if got := state.PeerCertificates[0].URIs[0].Host; got != cluster {
				return &WrongClusterError{Want: cluster, Got: got}
			}
			return nil
		},
	}
}

// authorityOf returns the authority that a server sent behind its own
// certificate, or nil.
func authorityOf(chain []*x509.Certificate) *x509.Certificate {
	if len(chain) < 2 || !chain[len(chain)-1].IsCA {
		return nil
	}
	return chain[len(chain)-1]
}

func verifyChain(chain []*x509.Certificate, roots *x509.CertPool, now time.Time) error {
	if len(chain) == 0 {
		return errors.New("peer shows no certificate")
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots:       roots,
		CurrentTime: now,
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err
}
