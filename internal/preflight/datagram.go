package preflight

import (
	"encoding/binary"
	"errors"
)

// Kind is how a test datagram was sent.
type Kind string

// Kinds.
const (
	Multicast Kind = "multicast"
	Unicast   Kind = "unicast"
)

// A test datagram is
//
//	version 3, type 15 (1)  virtual router 0 (1)  priority 0 (1)  addresses 0 (1)
//	reserved (2)  checksum (2)  "hacluster" (9)  session (8)  kind (1)
//	name of the sender: length (1), bytes
const (
	testType   = 3<<4 | 15
	testMagic  = "hacluster"
	headerSize = 8
	fixedSize  = headerSize + len(testMagic) + 8 + 1 + 1
)

// datagram is one test datagram.
type datagram struct {
	Session uint64 // tells one examination from another
	Kind    Kind
	From    string // node
}

var errNoTest = errors.New("not a test datagram")

func (d datagram) encode() []byte {
	b := append([]byte{testType, 0, 0, 0, 0, 0, 0, 0}, testMagic...)
	b = binary.BigEndian.AppendUint64(b, d.Session)
	kind := byte(0)
	if d.Kind == Unicast {
		kind = 1
	}
	b = append(b, kind, byte(len(d.From)))
	return append(b, d.From...)
}

func decode(b []byte) (datagram, error) {
	if len(b) < fixedSize || b[0] != testType || b[1] != 0 || string(b[headerSize:headerSize+len(testMagic)]) != testMagic {
		return datagram{}, errNoTest
	}
	b = b[headerSize+len(testMagic):]
	d := datagram{Session: binary.BigEndian.Uint64(b), Kind: Multicast}
	if b[8] == 1 {
		d.Kind = Unicast
	}
	name := b[10:]
	if int(b[9]) > len(name) || b[9] == 0 {
		return datagram{}, errNoTest
	}
	d.From = string(name[:b[9]])
	return d, nil
}
