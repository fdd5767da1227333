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

// Send sends all messages, one after the other, and waits for room. It returns how
// many buffers those had that the kernel refused, and the last of its errors.
func (w *Writer) Send(messages []Message) (failed int, err error) {
	w.hurry = false
	w.send(messages, func(index int, e error) {
		failed, err = failed+int(messages[index].Header.Iovlen), e
	})
	return failed, err
}

// Offer sends all messages, one after the other, but those that find no room: it
// never waits. It calls failed for each message that did not go, EAGAIN for want
// of room.
func (w *Writer) Offer(messages []Message, failed func(index int, err error)) {
	w.hurry = true
	w.send(messages, failed)
}

func (w *Writer) send(messages []Message, failed func(index int, err error)) {
	for sent := 0; sent < len(messages); sent += w.done {
		w.messages = messages[sent:]
		err := w.conn.Write(w.try) // of the connection: it is closed, or too late
		if err == nil && w.errno != 0 {
			err = fmt.Errorf("sendmmsg: %w", w.errno)
		}
		if err != nil {
			w.done = 1 // it is the first one that was refused
			failed(sent, err)
		}
	}
}
