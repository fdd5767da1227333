package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"time"
)

const (
	// CALifetime is how long an authority made by NewCA is valid.
	CALifetime = 10 * 365 * 24 * time.Hour
	// NodeLifetime is how long a certificate made by CA.Sign is valid.
	NodeLifetime = 90 * 24 * time.Hour
	// RenewBefore is the rest of validity at which a node should ask for a new
	// certificate: a third of its life, a month for an operator to notice.
	RenewBefore = NodeLifetime / 3

	// backdate makes certificates valid on a machine whose clock is behind.
	backdate = time.Hour
)

// Pin is the first 160 bits of the SHA-256 of an authority's
// SubjectPublicKeyInfo. It outlives a renewal of the certificate with the same
// key.
type Pin [20]byte

// String returns the pin in the form that errors and status show.
func (p Pin) String() string { return "SHA256:" + hex.EncodeToString(p[:]) }

// PinOf returns the pin of a certificate's public key.
func PinOf(cert *x509.Certificate) Pin {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return Pin(sum[:len(Pin{})])
}

// CA is a cluster's certificate authority.
type CA struct {
	cert      *x509.Certificate
	key       *ecdsa.PrivateKey
	clusterID string
}

// NewCA makes the authority of a new cluster.
func NewCA(clusterID, clusterName string, now time.Time) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make CA key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "hacluster " + clusterName},
		URIs:                  []*url.URL{{Scheme: scheme, Host: clusterID}},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(CALifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true, // signs nodes, never another authority
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make CA certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make CA certificate: %w", err)
	}
	return &CA{cert: cert, key: key, clusterID: clusterID}, nil
}

// ParseCA reads an authority as written by CertPEM and KeyPEM.
func ParseCA(certPEM, keyPEM []byte) (*CA, error) {
	cert, err := ParseCertificate(certPEM)
	if err != nil {
		return nil, fmt.Errorf("CA certificate: %w", err)
	}
	clusterID, err := ClusterOf(cert)
	if err != nil {
		return nil, fmt.Errorf("CA certificate: %w", err)
	}
	key, err := ParseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("CA key: %w", err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("CA key does not belong to the CA certificate")
	}
	return &CA{cert: cert, key: key, clusterID: clusterID}, nil
}

// ClusterID returns the id of the cluster that the authority belongs to.
func (ca *CA) ClusterID() string { return ca.clusterID }

// Pin returns the pin of the authority's public key.
func (ca *CA) Pin() Pin { return PinOf(ca.cert) }

// CertPEM returns the authority's certificate.
func (ca *CA) CertPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
}

// KeyPEM returns the authority's private key.
func (ca *CA) KeyPEM() ([]byte, error) { return keyPEM(ca.key) }

// Sign returns a PEM certificate for the key in csr, valid from now on for
// NodeLifetime. The name is node, whatever the request says: the caller has
// checked who asks.
func (ca *CA) Sign(csr []byte, node string, now time.Time) ([]byte, error) {
	if err := CheckNodeName(node); err != nil {
		return nil, err
	}
	request, err := parseRequest(csr)
	if err != nil {
		return nil, fmt.Errorf("sign certificate for %s: %w", node, err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	notAfter := now.Add(NodeLifetime)
	if notAfter.After(ca.cert.NotAfter) {
		notAfter = ca.cert.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: node},
		URIs:                  []*url.URL{nodeURI(ca.clusterID, node)},
		NotBefore:             now.Add(-backdate),
		NotAfter:              notAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, request.PublicKey, ca.key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate for %s: %w", node, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// parseRequest reads a PEM certificate request and checks it.
func parseRequest(csr []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(csr)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("not a PEM certificate request")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	// The signature proves that the asker has the private key (RFC 2986 section 3).
	if err := request.CheckSignature(); err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	if key, ok := request.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("the key is not ECDSA P-256")
	}
	return request, nil
}

// newSerial returns a random serial number of 127 bits: positive and at most 20
// octets, as RFC 5280 section 4.1.2.2 asks.
func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make certificate serial number: %w", err)
	}
	return serial, nil
}
