package supervisor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Kinds of messages: the first byte of each.
const (
	// From the worker.
	msgClause = 'C' // generation, name, clause: replaces the clause of that name
	msgFeed   = 'F' // the engine runs
	msgRest   = 'R' // the engine has ended: it is not missed any more
	msgNotify = 'N' // text for systemd

	msgHeir = 'W' // an heir waits for the state of the worker before it

	// From the supervisor.
	msgAck  = 'A' // generation: all clauses up to it are taken
	msgHand = 'H' // hand over: an heir waits

	// From the worker that ends to its heir, through the supervisor.
	msgState    = 'S' // a part of the state
	msgStateEnd = 'E' // that was all; the worker lets go of nothing and exits

	// Both ways: the worker asks for the kernel gate, and gets its files, or none.
	msgGate = 'G'
)

// workerFD is where a worker finds its end, and workerEnv what tells it so.
const (
	workerFD  = 3
	workerEnv = "HACLUSTERD_WORKER"
	heirEnv   = "HACLUSTERD_HEIR"  // set for a worker that waits for a state
	afterEnv  = "HACLUSTERD_AFTER" // set for one that follows a worker that died

	// pledgeFD is where a worker finds the pledge, and pledgeEnv what tells it so.
	pledgeFD  = 4
	pledgeEnv = "HACLUSTERD_PLEDGE"
)

// pair makes the two ends. Their buffers hold some wills; where the larger size
// is not allowed, the default holds one of ordinary size.
func pair() (parent int, child *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, fmt.Errorf("make sockets for the worker: %w", os.NewSyscallError("socketpair", err))
	}
	for _, fd := range fds {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 4<<20)
	}
	return fds[0], os.NewFile(uintptr(fds[1]), "supervisor"), nil
}

// send sends one message without waiting.
func send(fd int, message []byte, files ...int) error {
	var oob []byte
	if len(files) > 0 {
		oob = unix.UnixRights(files...)
	}
	for {
		_, err := unix.SendmsgN(fd, message, oob, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("sendmsg", err)
		}
	}
}

func clauseMessage(generation uint64, name string, c *Clause) ([]byte, error) {
	if len(name) == 0 || len(name) > maxName {
		return nil, fmt.Errorf("clause %q of a will: a name has 1 to %d bytes", name, maxName)
	}
	b := binary.AppendUvarint([]byte{msgClause}, generation)
	b = appendClause(appendBytes(b, []byte(name)), c)
	if len(b) > maxMessage {
		return nil, fmt.Errorf("clause %s of a will has %d bytes; at most %d", name, len(b), maxMessage)
	}
	return b, nil
}

// parseClauseMessage reads what clauseMessage wrote, behind the kind.
func parseClauseMessage(b []byte) (generation uint64, name string, c Clause, err error) {
	d := decoder{b: b}
	generation, name = d.number(1<<64-1), string(d.bytes(maxName))
	if d.bad || name == "" {
		return 0, "", Clause{}, fmt.Errorf("clause of a will: %w", errMalformed)
	}
	c, err = parseClause(d.b)
	return generation, name, c, err
}
