package observed

import (
	"encoding/json"
	"strings"
)

// Facts are what a node tells the others of itself in each heartbeat, beside
// its claims.
type Facts struct {
	Version       string `json:"v,omitempty"`
	Revision      uint64 `json:"r,omitempty"`
	RevisionError string `json:"e,omitempty"` // shortened by Encode when it is long
	Started       int64  `json:"s,omitempty"` // Unix seconds
}

// Encode gives at most size bytes (120 at least).
func (f Facts) Encode(size int) []byte {
	for {
		data, err := json.Marshal(f)
		if err == nil && len(data) <= size {
			return data
		}
		if f.RevisionError == "" {
			f.Version = "" // nothing else is of variable length
			continue
		}
		f.RevisionError = strings.ToValidUTF8(f.RevisionError[:len(f.RevisionError)/2], "")
	}
}

// DecodeFacts reads what Encode wrote. Facts of a newer program that cannot be
// read are no facts.
func DecodeFacts(data []byte) Facts {
	var f Facts
	if json.Unmarshal(data, &f) != nil {
		return Facts{}
	}
	return f
}
