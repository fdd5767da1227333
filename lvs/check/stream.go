package check

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// answerTimeouts is how many timeouts a whole answer may take. Each piece of it
// has one, as in keepalived, which bounds nothing else.
const answerTimeouts = 4

// stream is a TCP connection of a check. Each read and write has the timeout of
// the check, and all together have a deadline: a server that sends a byte now
// and then does not hold it. It ends with the context it was made with.
type stream struct {
	net.Conn
	each  time.Duration
	begun time.Time // from when on the deadline counts
	total time.Duration
	stop  func() bool
}

// connect opens a stream, which has one timeout until begin is called.
func (t Target) connect(ctx context.Context) (*stream, error) {
	conn, err := t.dial(ctx, "tcp")
	if err != nil {
		return nil, err
	}
	return &stream{
		Conn: conn, each: t.timeout(), begun: time.Now(), total: t.timeout(),
		// A closed connection ends whatever waits for it.
		stop: context.AfterFunc(ctx, func() { conn.Close() }),
	}, nil
}

// begin says that a question is asked now, whose answer has answerTimeouts.
func (s *stream) begin() { s.begun, s.total = time.Now(), answerTimeouts*s.each }

// Close implements net.Conn.
func (s *stream) Close() error {
	s.stop()
	return s.Conn.Close()
}

// Read implements net.Conn.
func (s *stream) Read(b []byte) (int, error) { return s.within(b, s.Conn.Read) }

// Write implements net.Conn.
func (s *stream) Write(b []byte) (int, error) { return s.within(b, s.Conn.Write) }

func (s *stream) within(b []byte, do func([]byte) (int, error)) (int, error) {
	at, until := time.Now().Add(s.each), s.begun.Add(s.total)
	late := hangs{s.each}
	if until.Before(at) {
		at, late = until, hangs{s.total}
	}
	if err := s.SetDeadline(at); err != nil {
		return 0, err
	}
	n, err := do(b)
	if isTimeout(err) {
		err = late
	}
	return n, err
}

// hangs is the timeout of a server that has accepted a connection. It is a
// net.Error.
type hangs struct{ after time.Duration }

// Error implements error.
func (e hangs) Error() string {
	return fmt.Sprintf("the server accepts the connection, but its answer is not there within %s", e.after)
}

// Timeout implements net.Error.
func (hangs) Timeout() bool { return true }

// Temporary implements net.Error.
func (hangs) Temporary() bool { return false }

// limitedReader is io.LimitedReader, with an error that says what is too long.
type limitedReader struct {
	r    io.Reader
	left int64
	what string
	max  int64
}

func limit(r io.Reader, n int64, what string) *limitedReader {
	return &limitedReader{r: r, left: n, what: what, max: n}
}

// Read implements io.Reader.
func (l *limitedReader) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, l.tooLong()
	}
	if int64(len(b)) > l.left {
		b = b[:l.left]
	}
	n, err := l.r.Read(b)
	l.left -= int64(n)
	return n, err
}

func (l *limitedReader) tooLong() error { return errTooLong{l.what, l.max} }

// errTooLong says that a server sends more than a check reads.
type errTooLong struct {
	what string
	max  int64
}

// Error implements error.
func (e errTooLong) Error() string {
	return "the server sends " + e.what + " of more than " + strconv.FormatInt(e.max>>10, 10) + " KiB"
}
