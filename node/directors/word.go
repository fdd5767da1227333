package directors

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"slices"

	"github.com/hacluster/hacluster/lvs/director"
)

// mostSaid bounds how many servers a word names: with these it has 140 bytes, which
// leaves room for the other facts of a heartbeat.
const mostSaid = 16

// word is what a director says of the real servers that it looks at.
type word struct {
	set     uint64 // see director.Sight
	more    bool   // servers with keys above the last one are not named
	servers []said // that are not seen up, by key
}

// said is the key of a server, and in the lowest bit whether it is seen down; else
// nobody knows yet.
type said uint64

func (s said) key() director.ServerKey { return director.ServerKey(s >> 1) }

// wordOf is what is said of what is seen. Of what is looked at in vain nothing is.
func wordOf(sight director.Sight) word {
	w := word{set: sight.Set, more: len(sight.NotUp) > mostSaid}
	for _, s := range sight.Servers {
		if s.Opinion == director.SeesUp {
			continue
		}
		if len(w.servers) == mostSaid {
			break
		}
		is := said(s.Key) << 1
		if s.Opinion == director.SeesDown {
			is |= 1
		}
		w.servers = append(w.servers, is)
	}
	return w
}

// of is what the director sees of a server that it looks at.
func (w *word) of(key director.ServerKey) director.Opinion {
	i, named := slices.BinarySearchFunc(w.servers, key, func(s said, k director.ServerKey) int {
		return cmp.Compare(s.key(), k)
	})
	switch {
	case named && w.servers[i]&1 == 1:
		return director.SeesDown
	case named, w.more && i == len(w.servers):
		return director.Unsure
	}
	return director.SeesUp
}

// Sizes of an encoded word before base64: a byte with flagMore, the set, the servers.
const (
	headSize   = 9
	serverSize = 6
	flagMore   = 1
)

// encode is the word for a heartbeat; empty if no server is looked at.
func (w *word) encode() string {
	if w.set == 0 {
		return ""
	}
	b := make([]byte, 1, headSize+serverSize*len(w.servers))
	if w.more {
		b[0] = flagMore
	}
	b = binary.BigEndian.AppendUint64(b, w.set)
	for _, s := range w.servers {
		b = append(b, byte(s>>40), byte(s>>32), byte(s>>24), byte(s>>16), byte(s>>8), byte(s))
	}
	return base64.RawStdEncoding.EncodeToString(b)
}

// parse reads what encode wrote. It is not ok for a node that looks at no server, and
// for what a newer program may write.
func parse(text string) (w word, ok bool) {
	b, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(b) < headSize || (len(b)-headSize)%serverSize != 0 || b[0]&^flagMore != 0 {
		return word{}, false
	}
	w.more, w.set = b[0]&flagMore != 0, binary.BigEndian.Uint64(b[1:])
	for rest := b[headSize:]; len(rest) > 0; rest = rest[serverSize:] {
		s := said(binary.BigEndian.Uint16(rest))<<32 | said(binary.BigEndian.Uint32(rest[2:]))
		if n := len(w.servers); n == mostSaid || n > 0 && w.servers[n-1].key() >= s.key() {
			return word{}, false
		}
		w.servers = append(w.servers, s)
	}
	return w, w.set != 0
}
