package pki

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func newCA(t *testing.T) *CA {
	t.Helper()
	ca, err := NewCA(NewClusterID(), "edge", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// files are the three parts of an identity.
type files struct{ key, cert, ca []byte }

func issue(t *testing.T, ca *CA, node string, now time.Time) files {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	csr, err := NewCSR(key, "whatever")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Sign(csr, node, now)
	if err != nil {
		t.Fatal(err)
	}
	return files{key: key, cert: cert, ca: ca.CertPEM()}
}

func identity(t *testing.T, ca *CA, node string) *Identity {
	t.Helper()
	f := issue(t, ca, node, time.Now())
	id, err := NewIdentity(f.key, f.cert, f.ca)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// handshake returns what the server saw, and the errors of both ends.
func handshake(t *testing.T, client, server *tls.Config) (state tls.ConnectionState, clientErr, serverErr error) {
	t.Helper()
	near, far := net.Pipe()
	deadline := time.Now().Add(5 * time.Second)
	for _, end := range []net.Conn{near, far} {
		if err := end.SetDeadline(deadline); err != nil {
			t.Fatal(err)
		}
	}
	s := tls.Server(far, server)
	done := make(chan error, 1)
	go func() {
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte{1}) // the client's alert comes with the first read or write
		}
		if err == nil {
			_, err = s.Read(make([]byte, 1))
		}
		far.Close()
		done <- err
	}()
	c := tls.Client(near, client)
	clientErr = c.Handshake()
	if clientErr == nil {
		_, clientErr = c.Read(make([]byte, 1))
	}
	if clientErr == nil {
		_, clientErr = c.Write([]byte{1})
	}
	near.Close()
	serverErr = <-done
	return s.ConnectionState(), clientErr, serverErr
}

func TestMembersRecogniseEachOther(t *testing.T) {
	ca := newCA(t)
	a, b := identity(t, ca, "lb01"), identity(t, ca, "lb02")
	state, clientErr, serverErr := handshake(t, b.Client("lb01", "h2"), a.Server("h2", "x/1"))
	if clientErr != nil || serverErr != nil {
		t.Fatalf("handshake: %v, %v", clientErr, serverErr)
	}
	if node, err := NodeOf(state.PeerCertificates[0]); err != nil || node != "lb02" {
		t.Errorf("the server sees node %q, %v, want lb02", node, err)
	}
	if state.NegotiatedProtocol != "h2" || state.Version != tls.VersionTLS13 {
		t.Errorf("protocol %q, version %x", state.NegotiatedProtocol, state.Version)
	}
}

func TestHandshakeIsRefused(t *testing.T) {
	ca, otherCA := newCA(t), newCA(t)
	a, b := identity(t, ca, "lb01"), identity(t, ca, "lb02")
	foreign := identity(t, otherCA, "lb01")
	old := issue(t, ca, "lb01", time.Now().Add(-NodeLifetime-2*time.Hour))
	expired, err := NewIdentity(old.key, old.cert, old.ca)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name           string
		client, server *tls.Config
		want           string // in the error of either end
	}{
		{"by a client that wants another node", b.Client("lb03", "h2"), a.Server("h2"), "certificate is for node lb01, want node lb03"},
		{"by a client of another cluster", foreign.Client("", "h2"), a.Server("h2"), "wrong cluster"},
		{"for an expired server", b.Client("lb01", "h2"), expired.Server("h2"), "expired"},
		{"for an expired client", expired.Client("lb02", "h2"), b.Server("h2"), "expired"},
		{"for a joiner with the pin of another cluster", PinnedClient(otherCA.Pin(), "h2"), a.Server("h2"), otherCA.Pin().String()},
		{"for an unknown protocol", b.Client("lb01", "h9"), a.Server("h2"), "no application protocol"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, clientErr, serverErr := handshake(t, test.client, test.server)
			both := errors.Join(clientErr, serverErr)
			if clientErr == nil || !strings.Contains(both.Error(), test.want) {
				t.Errorf("errors %v, want %q", both, test.want)
			}
		})
	}
}

func TestJoinerBelievesThePinnedCluster(t *testing.T) {
	ca := newCA(t)
	a := identity(t, ca, "lb01")
	state, clientErr, serverErr := handshake(t, PinnedClient(ca.Pin(), "h2"), a.Server("h2"))
	if clientErr != nil || serverErr != nil {
		t.Fatalf("handshake: %v, %v", clientErr, serverErr)
	}
	if len(state.PeerCertificates) != 0 {
		t.Error("the joiner showed a certificate")
	}
}

func TestWrongClusterNamesBothFingerprints(t *testing.T) {
	ca, otherCA := newCA(t), newCA(t)
	_, clientErr, _ := handshake(t, PinnedClient(otherCA.Pin(), "h2"), identity(t, ca, "lb01").Server("h2"))
	wrong, ok := errors.AsType[*WrongClusterError](clientErr)
	if !ok || wrong.Want != otherCA.Pin().String() || wrong.Got != ca.Pin().String() {
		t.Errorf("error %v, want %v and %v", clientErr, otherCA.Pin(), ca.Pin())
	}
}

func TestCertificateCarriesTheNameThatTheClusterGives(t *testing.T) {
	ca := newCA(t)
	f := issue(t, ca, "lb01", time.Now()) // the request says something else
	cert, err := ParseCertificate(f.cert)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := cert.URIs[0].String(), "hacluster://"+ca.ClusterID()+"/node/lb01"; got != want {
		t.Errorf("URI %s, want %s", got, want)
	}
	if life := time.Until(cert.NotAfter).Round(time.Hour); life != NodeLifetime {
		t.Errorf("valid for %v, want %v", life, NodeLifetime)
	}
	if cert.IsCA {
		t.Error("a node could sign certificates")
	}
}

func TestAuthoritySurvivesItsFiles(t *testing.T) {
	ca := newCA(t)
	key, err := ca.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseCA(ca.CertPEM(), key)
	if err != nil || again.Pin() != ca.Pin() || again.ClusterID() != ca.ClusterID() {
		t.Fatalf("ParseCA = %v, %v", again, err)
	}
	otherKey, err := newCA(t).KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseCA(ca.CertPEM(), otherKey); err == nil {
		t.Error("ParseCA accepts the key of another authority")
	}
}

func TestIdentityFilesArePrivateAndChecked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	ca := newCA(t)
	f := issue(t, ca, "lb01", time.Now())
	if err := Save(dir, f.key, f.cert, f.ca); err != nil {
		t.Fatal(err)
	}
	id, err := Load(dir)
	if err != nil || id.Node() != "lb01" || id.Pin() != ca.Pin() {
		t.Fatalf("Load = %v, %v", id, err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory has mode %v, %v", info.Mode(), err)
	}
	for _, name := range []string{keyFile, certFile, caFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", name, info.Mode(), err)
		}
	}

	csr, err := RequestFrom(dir, "lb01")
	if err != nil {
		t.Fatal(err)
	}
	renewed, err := ca.Sign(csr, "lb01", time.Now().Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	next, err := Replace(dir, renewed)
	if err != nil || !next.NotAfter().After(id.NotAfter()) || next.KeyID() != id.KeyID() {
		t.Errorf("Replace = %v, %v", next, err)
	}
	if _, err := Replace(dir, issue(t, ca, "lb01", time.Now()).cert); err == nil {
		t.Error("Replace accepts a certificate for another key")
	}
	if err := Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := Remove(dir); err != nil {
		t.Errorf("removing what is gone: %v", err)
	}
	if _, err := Load(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load after Remove = %v", err)
	}
}

func TestNodeNames(t *testing.T) {
	for _, name := range []string{"a", "lb01", "lb-1.example.org", strings.Repeat("x", 63)} {
		if err := CheckNodeName(name); err != nil {
			t.Errorf("CheckNodeName(%q) = %v", name, err)
		}
	}
	for _, name := range []string{"", "LB01", "a_b", "a#b", "-a", "a.", "a/b", "é", strings.Repeat("x", 64)} {
		if CheckNodeName(name) == nil {
			t.Errorf("CheckNodeName accepts %q", name)
		}
	}
}
