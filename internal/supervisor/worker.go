package supervisor

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Worker is the worker's connection to its supervisor. Its methods may be
// called by anybody and do not wait, but Gate.
type Worker struct {
	conn *net.UnixConn
	raw  interface{ Control(func(fd uintptr)) error }
	gone chan struct{}
	gate chan gateAnswer // size one
	hand chan struct{}   // closed when the supervisor asks to hand over

	heir   bool
	after  bool // a worker that died
	pledge *Pledge
	state  []byte        // of the worker before; read's until given is closed
	given  chan struct{} // closed when state is complete

	mu         sync.Mutex
	generation uint64
	acked      uint64
	unwritten  map[string]Clause // what the socket had no room for
}

// IsWorker says whether this process was started by a supervisor.
func IsWorker() bool { return os.Getenv(workerEnv) != "" }

// Connect takes up the connection of a process that IsWorker. It may be called
// once. What this process starts does not inherit it.
func Connect() (*Worker, error) {
	fd, err := strconv.Atoi(os.Getenv(workerEnv))
	if err != nil {
		return nil, fmt.Errorf("%s=%q in the environment is no number: it is set by haclusterd for itself only", workerEnv, os.Getenv(workerEnv))
	}
	heir, after := os.Getenv(heirEnv) != "", os.Getenv(afterEnv) != ""
	os.Unsetenv(workerEnv)
	os.Unsetenv(heirEnv)
	os.Unsetenv(afterEnv)
	unix.CloseOnExec(fd)
	pledge, err := inheritPledge()
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "supervisor")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("connection to the supervisor: %w", err)
	}
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("connection to the supervisor: not a unix socket"), conn.Close())
	}
	w, err := newWorker(c, heir)
	if err != nil {
		return nil, err
	}
	w.after, w.pledge = after, pledge
	return w, nil
}

func newWorker(c *net.UnixConn, heir bool) (*Worker, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	w := &Worker{
		conn: c, raw: raw, heir: heir, unwritten: make(map[string]Clause),
		gone: make(chan struct{}), gate: make(chan gateAnswer, 1), hand: make(chan struct{}), given: make(chan struct{}),
	}
	go w.read()
	return w, nil
}

// Gone is closed when the supervisor has ended: nobody will carry out the will.
func (w *Worker) Gone() <-chan struct{} { return w.gone }

// Put replaces the clause of the given name. When it returns nil the clause
// counts, whatever becomes of this process: the message is in the supervisor's
// socket, which is read to its end before a will is carried out. An error says
// that the one before counts still; the new one is tried again with each Feed.
func (w *Worker) Put(name string, c Clause) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.put(name, c)
}

// Drop takes a clause out of the will: what it covered is gone.
func (w *Worker) Drop(name string) error { return w.Put(name, Clause{}) }

// put needs mu.
func (w *Worker) put(name string, c Clause) error {
	message, err := clauseMessage(w.generation+1, name, &c)
	if err != nil {
		return err
	}
	w.generation++
	delete(w.unwritten, name)
	if err := w.write(message); err != nil {
		w.unwritten[name] = c
		return fmt.Errorf("deposit clause %s of the will: %w", name, err)
	}
	return nil
}

// Feed says that the engine runs. It belongs into the goroutine whose hanging
// is to be noticed, and nowhere else.
func (w *Worker) Feed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, c := range w.unwritten {
		if w.put(name, c) != nil {
			break // no room yet
		}
	}
	// One that finds no room is not missed: the socket is full of others.
	_ = w.write([]byte{msgFeed})
}

// Rest says that the engine has ended on purpose and feeds no more.
func (w *Worker) Rest() error { return w.write([]byte{msgRest}) }

// Notify passes a message of sd_notify(3) to systemd, which listens to the
// supervisor only. READY=1 says as well that this worker's start is over: from
// then on it is started again whatever ends it.
func (w *Worker) Notify(state string) error { return w.write(append([]byte{msgNotify}, state...)) }

// Gate asks the supervisor to open the kernel gate, or for the one that it has
// open already, and returns its files, as Gate.Files gave them. Call it when
// nothing is left of an earlier life: a new gate knows nothing of that.
func (w *Worker) Gate(ctx context.Context) ([]*os.File, error) {
	if err := w.write([]byte{msgGate}); err != nil {
		return nil, fmt.Errorf("ask for the kernel gate: %w", err)
	}
	select {
	case answer := <-w.gate:
		if len(answer.files) == 0 {
			return nil, errors.New(cmp.Or(answer.missing, "the supervisor has no kernel gate"))
		}
		return answer.files, nil
	case <-w.gone:
		return nil, errors.New("ask for the kernel gate: the supervisor has ended")
	case <-ctx.Done():
		return nil, fmt.Errorf("ask for the kernel gate: %w", context.Cause(ctx))
	}
}

// Heir says whether this process was started to go on where another one stops.
func (w *Worker) Heir() bool { return w.heir }

// AfterDeath says whether the worker before this one died, or was killed because it
// hung. An heir learns by Inherit whether that happened while it waited.
func (w *Worker) AfterDeath() bool { return w.after }

// Pledge is what this worker owes beyond its life; nil: it cannot be kept. An heir
// may read it when Inherit has returned.
func (w *Worker) Pledge() *Pledge { return w.pledge }

// HandOver is closed when the supervisor asks this worker to end without letting
// go: an heir waits for its state. It calls Bequeath then, or ends as ever.
func (w *Worker) HandOver() <-chan struct{} { return w.hand }

// Bequeath hands the state to the heir, and the will with it: what it covers is
// the heir's from now on. This process must hold nothing that the heir opens, and
// exit.
func (w *Worker) Bequeath(state []byte) error {
	for len(state) > 0 {
		n := min(len(state), maxMessage-1)
		if err := w.patiently(append([]byte{msgState}, state[:n]...)); err != nil {
			return fmt.Errorf("hand the state over: %w", err)
		}
		state = state[n:]
	}
	if err := w.patiently([]byte{msgStateEnd}); err != nil {
		return fmt.Errorf("hand the state over: %w", err)
	}
	return nil
}

// patiently waits for room, which the supervisor makes by reading.
func (w *Worker) patiently(message []byte) error {
	for range 1000 {
		if err := w.write(message); !errors.Is(err, unix.EAGAIN) {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return unix.EAGAIN
}

// Inherit is the state that the worker before handed over; empty: there is none.
// An heir waits here until that worker has ended, and must not open anything of
// its before.
func (w *Worker) Inherit() ([]byte, error) {
	if !w.heir {
		return nil, nil
	}
	if err := w.write([]byte{msgHeir}); err != nil {
		return nil, fmt.Errorf("wait for the state: %w", err)
	}
	select {
	case <-w.given:
		return w.state, nil
	case <-w.gone:
		return nil, errors.New("wait for the state: the supervisor has ended")
	}
}

// Behind is how many of the clauses that were put the supervisor has not
// confirmed yet. It is not zero for long unless the supervisor hangs.
func (w *Worker) Behind() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.generation - w.acked
}

// write sends one message or none. A message is whole whoever else writes.
func (w *Worker) write(message []byte) (err error) {
	if cerr := w.raw.Control(func(fd uintptr) { err = send(int(fd), message) }); cerr != nil {
		return cerr
	}
	return err
}

// read takes what the supervisor says, until it has ended.
func (w *Worker) read() {
	defer close(w.gone)
	message := make([]byte, maxMessage)
	oob := make([]byte, unix.CmsgSpace(4*maxFiles))
	for {
		n, oobn, _, _, err := w.conn.ReadMsgUnix(message, oob)
		if err != nil || n == 0 {
			return
		}
		switch body := message[1:n]; message[0] {
		case msgAck:
			generation, _ := binary.Uvarint(body)
			w.mu.Lock()
			w.acked = generation
			w.mu.Unlock()
		case msgGate:
			w.gate <- gateAnswer{receivedFiles(oob[:oobn]), string(body)}
		case msgHand:
			close(w.hand)
		case msgState:
			w.state = append(w.state, body...)
		case msgStateEnd:
			close(w.given)
		}
	}
}

// gateAnswer is the files of the gate, or why there are none.
type gateAnswer struct {
	files   []*os.File
	missing string
}

// maxFiles is how many files go with one message.
const maxFiles = 32

// receivedFiles takes the files out of the control messages.
func receivedFiles(oob []byte) []*os.File {
	var files []*os.File
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "gate"))
		}
	}
	return files
}
