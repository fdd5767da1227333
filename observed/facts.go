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
	StoreError    string `json:"d,omitempty"` // shortened likewise
	Started       int64  `json:"s,omitempty"` // Unix seconds
	// RestartingUntil is when a planned restart is over at the latest, in Unix
	// seconds by the node's own clock; 0: there is none.
	RestartingUntil int64 `json:"u,omitempty"`
	// Sees is what its checks say of real servers, as node/directors writes it; empty:
	// it runs none. At most 160 bytes.
	Sees string `json:"l,omitempty"`
}

// Encode gives at most size bytes (120 at least).
func (f Facts) Encode(size int) []byte {
	for {
		data, err := json.Marshal(f)
		if err == nil && len(data) <= size {
			return data
		}
		switch {
		case len(f.RevisionError) >= len(f.StoreError) && f.RevisionError != "":
			f.RevisionError = half(f.RevisionError)
		case f.StoreError != "":
			f.StoreError = half(f.StoreError)
		case f.Version != "":
			f.Version = ""
		default:
			f.Sees = "" // nothing else is of variable length
		}
	}
}

func half(s string) string { return strings.ToValidUTF8(s[:len(s)/2], "") }

// DecodeFacts reads what Encode wrote. Facts of a newer program that cannot be
// read are no facts.
func DecodeFacts(data []byte) Facts {
	var f Facts
	if json.Unmarshal(data, &f) != nil {
		return Facts{}
	}
	return f
}
