package check

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// TLS is what SSL_GET has beyond HTTP_GET. As in keepalived the certificate of
// the server is not verified: a check asks whether a server serves. But what is
// odd about it stands in the reason of a check that fails.
type TLS struct {
	// ServerName is sent as SNI (sni_name, or virtualhost with enable_sni);
	// "": none is sent.
	ServerName  string
	Certificate *tls.Certificate // of this client, for servers that ask for one (SSL block)
	Compliant   bool             // say close_notify at the end (tls_compliant)
}

// handshake speaks TLS on a connection. With an error the connection is returned
// too, for what is known of the server's certificate.
func (t *TLS) handshake(ctx context.Context, conn net.Conn, p Protocol) (*tls.Conn, error) {
	config := &tls.Config{
		ServerName:         t.ServerName,
		InsecureSkipVerify: true,
		// A check carries no secret, and servers may be old.
		MinVersion:   tls.VersionTLS10,
		CipherSuites: everyCipherSuite(),
	}
	if p == HTTP2 {
		config.NextProtos = []string{"h2"}
	}
	if t.Certificate != nil {
		config.Certificates = []tls.Certificate{*t.Certificate}
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return secure, err
	}
	if got := secure.ConnectionState().NegotiatedProtocol; p == HTTP2 && got != "h2" {
		return secure, errors.New("the server does not offer HTTP/2 (h2) by ALPN")
	}
	return secure, nil
}

func everyCipherSuite() []uint16 {
	var ids []uint16
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		ids = append(ids, s.ID)
	}
	return ids
}

// explain says in words what is wrong with a connection.
func (t *TLS) explain(target Target, err error) string {
	if r, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return fmt.Sprintf("the server does not speak TLS, it begins with %q", r.RecordHeader[:])
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return "the server refuses: " + strings.TrimPrefix(op.Err.Error(), "tls: ") + t.hint(op.Err.Error())
	}
	return target.explain(err)
}

// hint says what is often wrong when a server refuses with this alert.
func (t *TLS) hint(alert string) string {
	switch alert {
	case "tls: handshake failure", "tls: internal error", "tls: unrecognized name":
		if t.ServerName == "" {
			return " (no server name was sent; enable_sni sends the virtualhost)"
		}
	case "tls: certificate required", "tls: bad certificate":
		if t.Certificate == nil {
			return " (the SSL block can name a certificate of this client)"
		}
	}
	return ""
}

// about says what is odd about a server's certificate, for the end of a reason.
func about(conn *tls.Conn) string {
	certificates := conn.ConnectionState().PeerCertificates
	if len(certificates) == 0 {
		return ""
	}
	c := certificates[0]
	words := []string{"its certificate is " + certificateName(c)}
	switch now := time.Now(); {
	case now.After(c.NotAfter):
		words = append(words, "expired since "+c.NotAfter.UTC().Format(time.DateOnly))
	case now.Before(c.NotBefore):
		words = append(words, "not valid before "+c.NotBefore.UTC().Format(time.DateOnly))
	}
	if name := conn.ConnectionState().ServerName; name != "" && c.VerifyHostname(name) != nil {
		words = append(words, "not for "+name)
	}
	return " (" + strings.Join(words, ", ") + ")"
}

func certificateName(c *x509.Certificate) string {
	switch {
	case len(c.DNSNames) > 0:
		return fmt.Sprintf("of %.100q", c.DNSNames[0])
	case c.Subject.CommonName != "":
		return fmt.Sprintf("of %.100q", c.Subject.CommonName)
	default:
		return "without a name"
	}
}
