package splitbrain

import (
	"crypto/rand"
	"encoding/binary"
)

// NewBootID draws the name of a new life.
func NewBootID() BootID {
	var b [8]byte
	for {
		rand.Read(b[:]) // never fails, and fills b
		if id := BootID(binary.BigEndian.Uint64(b[:])); id != 0 {
			return id
		}
	}
}
