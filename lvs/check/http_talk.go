package check

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
)

// talk1 speaks HTTP/1.0 or 1.1.
func (c HTTP) talk1(conn net.Conn, u URL) (seen string, err error) {
	if _, err := io.WriteString(conn, c.request(u)); err != nil {
		return "", err
	}
	bounded := limit(conn, httpHeaderLimit, "a header")
	in := bufio.NewReader(bounded)
	for range httpInterimLimit + 1 {
		response, err := http.ReadResponse(in, &http.Request{Method: http.MethodGet})
		switch {
		case err != nil && bounded.left <= 0:
			return "", bounded.tooLong() // whatever the parser thinks of the last line
		case err != nil:
			return "", headerError(err)
		}
		if response.StatusCode < 200 && response.StatusCode != http.StatusSwitchingProtocols {
			continue // an interim answer, with no body
		}
		// The body has a bound of its own, counted without its encoding.
		bounded.left, bounded.max, bounded.what = 2*httpBodyLimit, 2*httpBodyLimit, "a body"
		// The body is not closed: that would read the rest of it.
		return u.judge(response.StatusCode, response.Body)
	}
	return "", fmt.Errorf("the server sends more than %d interim answers", httpInterimLimit)
}

// headerError says in words what is wrong with a header.
func headerError(err error) error {
	if isTimeout(err) || isClosed(err) {
		return err
	}
	return fmt.Errorf("the answer is not HTTP: %.200s", strings.ToValidUTF8(err.Error(), "\uFFFD"))
}

// isClosed reports whether the other end closed or reset the connection.
func isClosed(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op)
}

// talk2 speaks HTTP/2 on a connection. The goroutines of package http end with
// the connection, which the caller closes.
func (c HTTP) talk2(ctx context.Context, conn net.Conn, u URL) (seen string, err error) {
	where, err := url.ParseRequestURI(u.Path)
	if err != nil {
		return "", fmt.Errorf("path: %w", err)
	}
	where.Host, where.Scheme = c.Target.Addr.String(), "http"
	var used atomic.Bool
	dial := func(context.Context, string, string) (net.Conn, error) {
		if used.Swap(true) { // a server that sends its client away
			return nil, errors.New("the server closed the connection before it answered")
		}
		return conn, nil
	}
	transport := &http.Transport{
		DialContext: dial, DialTLSContext: dial,
		MaxResponseHeaderBytes: httpHeaderLimit,
		DisableCompression:     true,
		Protocols:              new(http.Protocols),
	}
	defer transport.CloseIdleConnections()
	if c.TLS != nil {
		where.Scheme = "https"
		transport.Protocols.SetHTTP2(true)
	} else {
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	request := (&http.Request{
		Method: http.MethodGet, URL: where, Host: c.host(u),
		Header: http.Header{"User-Agent": {userAgent}},
	}).WithContext(ctx)
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	return u.judge(response.StatusCode, response.Body)
}
