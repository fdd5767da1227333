package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// NewKey makes a node's private key, in PEM.
func NewKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make node key: %w", err)
	}
	return keyPEM(key)
}

// NewCSR returns a PEM request for a certificate for node with the given key.
func NewCSR(keyPEM []byte, node string) ([]byte, error) {
	key, err := ParseKey(keyPEM)
	if err != nil {
		return nil, err
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: node}}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, fmt.Errorf("make certificate request for %s: %w", node, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// ParseKey reads a PEM private key as written by NewKey.
func ParseKey(text []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("not a PEM private key")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("key is %T; use ECDSA P-256", key)
	}
	return ec, nil
}

// ParseCertificate reads one PEM certificate.
func ParseCertificate(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("not a PEM certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ClusterOf returns the cluster id that a certificate names, an authority's or a
// node's.
func ClusterOf(cert *x509.Certificate) (string, error) {
	if len(cert.URIs) != 1 || cert.URIs[0].Scheme != scheme || cert.URIs[0].Host == "" {
		return "", fmt.Errorf("certificate of %q names no cluster: it is not one of hacluster's", cert.Subject.CommonName)
	}
	return cert.URIs[0].Host, nil
}

// NodeOf returns the node that a certificate names. It checks no signature: the
// certificate comes from a verified connection.
func NodeOf(cert *x509.Certificate) (string, error) {
	if _, err := ClusterOf(cert); err != nil {
		return "", err
	}
	name, ok := strings.CutPrefix(cert.URIs[0].Path, "/node/")
	if !ok || CheckNodeName(name) != nil {
		return "", fmt.Errorf("certificate of %q names no node", cert.Subject.CommonName)
	}
	return name, nil
}

// KeyID is the SHA-256 of a certificate's SubjectPublicKeyInfo. The members list
// keeps it, so that the certificate of a node that left is not taken for one of
// a later node of the same name.
type KeyID [sha256.Size]byte

// KeyIDOf returns the key id of a certificate.
func KeyIDOf(cert *x509.Certificate) KeyID { return sha256.Sum256(cert.RawSubjectPublicKeyInfo) }

// KeyIDOfRequest returns the key id that a certificate made from the request will
// have.
func KeyIDOfRequest(csr []byte) (KeyID, error) {
	request, err := parseRequest(csr)
	if err != nil {
		return KeyID{}, err
	}
	return sha256.Sum256(request.RawSubjectPublicKeyInfo), nil
}

// Identity is what a node proves itself with, and what it checks others against.
// It does not change; a renewed certificate makes a new Identity.
type Identity struct {
	clusterID string
	node      string
	leaf      *x509.Certificate
	ca        *x509.Certificate
	pair      tls.Certificate
	roots     *x509.CertPool
}

// NewIdentity checks that key, certificate and authority (all PEM) belong
// together, and returns them as an Identity.
func NewIdentity(keyPEM, certPEM, caPEM []byte) (*Identity, error) {
	key, err := ParseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("node key: %w", err)
	}
	leaf, err := ParseCertificate(certPEM)
	if err != nil {
		return nil, fmt.Errorf("node certificate: %w", err)
	}
	ca, err := ParseCertificate(caPEM)
	if err != nil {
		return nil, fmt.Errorf("CA certificate: %w", err)
	}
	if !key.PublicKey.Equal(leaf.PublicKey) {
		return nil, errors.New("node key does not belong to the node certificate")
	}
	if err := leaf.CheckSignatureFrom(ca); err != nil {
		return nil, fmt.Errorf("node certificate is not signed by the CA: %w", err)
	}
	clusterID, err := ClusterOf(ca)
	if err != nil {
		return nil, fmt.Errorf("CA certificate: %w", err)
	}
	node, err := NodeOf(leaf)
	if err != nil {
		return nil, err
	}
	if got := leaf.URIs[0].Host; got != clusterID {
		return nil, &WrongClusterError{Want: clusterID, Got: got}
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	return &Identity{
		clusterID: clusterID,
		node:      node,
		leaf:      leaf,
		ca:        ca,
		roots:     roots,
		// The authority goes along, so that a joiner can check its pin.
		pair: tls.Certificate{Certificate: [][]byte{leaf.Raw, ca.Raw}, PrivateKey: key, Leaf: leaf},
	}, nil
}

// ClusterID returns the cluster's id.
func (id *Identity) ClusterID() string { return id.clusterID }

// Node returns the node's name.
func (id *Identity) Node() string { return id.node }

// Pin returns the pin of the authority.
func (id *Identity) Pin() Pin { return PinOf(id.ca) }

// KeyID returns the id of the node's own key.
func (id *Identity) KeyID() KeyID { return KeyIDOf(id.leaf) }

// NotAfter returns when the node's certificate ends.
func (id *Identity) NotAfter() time.Time { return id.leaf.NotAfter }
