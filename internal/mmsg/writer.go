package mmsg

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Writer sends the datagrams of a socket.
type Writer struct{ call }

// NewWriter returns a Writer of a socket.
func NewWriter(conn syscall.RawConn) *Writer {
	w := new(Writer)
	w.init(unix.SYS_SENDMMSG, conn)
	return w
}

// Send sends all messages, one after the other. It returns how many buffers those
// had that the kernel refused, and the last of its errors.
func (w *Writer) Send(messages []Message) (failed int, err error) {
	for w.messages = messages; len(w.messages) > 0; w.messages = w.messages[w.done:] {
		if e := w.conn.Write(w.try); e != nil {
			w.errno = unix.EBADF // closed
		}
		if w.errno != 0 {
			// It is the first one that was refused.
			w.done, failed, err = 1, failed+int(w.messages[0].Header.Iovlen), fmt.Errorf("sendmmsg: %w", w.errno)
		}
	}
	return failed, err
}
