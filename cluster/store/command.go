package store

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// Command is one change of the replicated state.
type Command struct {
	Machine   string // which machine carries it out
	Name      string // what it does, in the machine's words
	Version   uint8  // of the body's form, from 1
	RequestID string // makes repeats harmless; Store.Apply makes one when empty
	Body      []byte // in the form that Machine, Name and Version define
}

// String names the command without its body, which may be a secret.
func (c Command) String() string { return fmt.Sprintf("%s.%s v%d", c.Machine, c.Name, c.Version) }

// NewRequestID returns a random request id: 26 characters, 128 bits.
func NewRequestID() string { return rand.Text() }

// newCommand returns a command whose body is value in JSON.
func newCommand(machine, name string, version uint8, requestID string, value any) (Command, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return Command{}, fmt.Errorf("encode %s.%s: %w", machine, name, err)
	}
	return Command{Machine: machine, Name: name, Version: version, RequestID: requestID, Body: body}, nil
}

// codeBadBody is the refusal of a body that does not have its version's form.
const codeBadBody Code = "bad-body"

// decodeBody reads a JSON body. A field that this program does not know means
// that the sender forgot to raise the version; dropping the field would be
// misapplying the command. All programs that know the version refuse alike.
func decodeBody(cmd Command, into any) error {
	dec := json.NewDecoder(bytes.NewReader(cmd.Body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return refuse(codeBadBody, nil, "%s: body does not have the form of its version: %v", cmd, err)
	}
	return nil
}

const (
	commandFormat = 1
	maxNameLength = 255
	// maxCommand bounds what one command may occupy in the log, in octets: a
	// document of 16 MB fits even when it does not compress.
	maxCommand = 32 << 20
)

// Encode returns the command as it stands in the log: format (1 octet), version
// (1), then machine, name, request id and body, each with its length before it
// (unsigned varint).
func (c Command) Encode() ([]byte, error) {
	for _, s := range []string{c.Machine, c.Name, c.RequestID} {
		if len(s) > maxNameLength {
			return nil, fmt.Errorf("command %.20s….%.20s…: a name has %d characters; use at most %d", c.Machine, c.Name, len(s), maxNameLength)
		}
	}
	if len(c.Body) > maxCommand {
		return nil, fmt.Errorf("command %s has %d octets; at most %d fit the log", c, len(c.Body), maxCommand)
	}
	b := []byte{commandFormat, c.Version}
	for _, field := range [][]byte{[]byte(c.Machine), []byte(c.Name), []byte(c.RequestID), c.Body} {
		b = binary.AppendUvarint(b, uint64(len(field)))
		b = append(b, field...)
	}
	return b, nil
}

// DecodeCommand reads what Encode wrote.
func DecodeCommand(data []byte) (Command, error) {
	if len(data) < 2 {
		return Command{}, errors.New("command is truncated")
	}
	if data[0] != commandFormat {
		return Command{}, fmt.Errorf("command has format %d; this program knows %d", data[0], commandFormat)
	}
	c := Command{Version: data[1]}
	rest := data[2:]
	fields := make([][]byte, 4)
	for i := range fields {
		length, n := binary.Uvarint(rest)
		if n <= 0 || length > math.MaxInt32 || uint64(len(rest)-n) < length {
			return Command{}, errors.New("command is truncated")
		}
		fields[i], rest = rest[n:n+int(length)], rest[n+int(length):]
	}
	if len(rest) != 0 {
		return Command{}, fmt.Errorf("command has %d octets too many", len(rest))
	}
	c.Machine, c.Name, c.RequestID, c.Body = string(fields[0]), string(fields[1]), string(fields[2]), fields[3]
	return c, nil
}
