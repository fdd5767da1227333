package cluster

import (
	"errors"
	"io"
	"net"
	"testing"

	"golang.org/x/net/nettest"
	"golang.org/x/sys/unix"
)

// quietPair returns two ends of a TCP connection.
func quietPair() (a, b net.Conn, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, nil, err
	}
	defer l.Close()
	a, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, nil, nil, err
	}
	b, err = l.Accept()
	if err != nil {
		return nil, nil, nil, errors.Join(err, a.Close())
	}
	return quiet(a), quiet(b), func() { a.Close(); b.Close() }, nil
}

func TestQuietConnIsAConnectionLikeAnyOther(t *testing.T) {
	nettest.TestConn(t, quietPair)
}

func TestQuietConnTellsTheEndFromAnError(t *testing.T) {
	a, b, stop, err := quietPair()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if _, err := a.Write([]byte("last")); err != nil {
		t.Fatal(err)
	}
	a.Close()
	if got, err := io.ReadAll(b); err != nil || string(got) != "last" {
		t.Errorf("read %q, %v; want the last word and the end", got, err)
	}
	if _, err := a.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after Close: %v, want %v", err, net.ErrClosed)
	}
	for range 100 {
		if _, err = b.Write([]byte("x")); err != nil {
			break
		}
	}
	var op *net.OpError
	if !errors.As(err, &op) || !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("write to nobody: %v, want a broken pipe", err)
	}
}
