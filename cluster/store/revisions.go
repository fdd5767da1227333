package store

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// MaxDocument is the size of the largest configuration document, in octets.
const MaxDocument = 16 << 20

// CodeConflict is the refusal of a revision whose base is not current.
const CodeConflict Code = "conflict"

const (
	codeTooLarge Code = "too-large"
	codeBadText  Code = "bad-text"
)

// Hash is the SHA-256 of a revision's text.
type Hash [sha256.Size]byte

// HashText returns the hash of a text.
func HashText(text string) Hash { return sha256.Sum256([]byte(text)) }

// String returns the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("hash has %d characters, want %d", len(text), hex.EncodedLen(len(h)))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// Revision is one committed version of the cluster's configuration.
type Revision struct {
	Number    uint64 // from 1, without gaps
	Base      uint64 // the revision that it was made from; Number - 1
	Hash      Hash   // of Text
	Author    string
	Message   string
	Time      time.Time // of the proposer's clock
	RequestID string
	Text      string // empty in lists
}

// Retention bounds the history. A revision goes when it is both older than
// MaxAge and not among the last MinRevisions, or when the compressed texts hold
// more than MaxBytes and it is not among the last MinRevisions.
type Retention struct {
	MinRevisions int           // at least 100
	MaxAge       time.Duration // counted between revisions, not against a clock
	MaxBytes     int
}

// DefaultRetention keeps a year, in at most 64 MB, and never less than 100
// revisions.
func DefaultRetention() Retention {
	return Retention{MinRevisions: 100, MaxAge: 365 * 24 * time.Hour, MaxBytes: 64 << 20}
}

// Proposal is a revision that is to be committed.
type Proposal struct {
	Base      uint64 // the current revision; 0 for the first
	Text      string
	Author    string
	Message   string
	RequestID string // optional; the same id is answered with the same revision
}

// Revisions is the machine that holds the configuration's history.
type Revisions struct {
	retention Retention

	mu      sync.RWMutex
	history []storedRevision // ascending, without gaps
	changed chan struct{}    // closed and replaced when a revision is added
}

// storedRevision is a revision as it stands in the log and in snapshots.
type storedRevision struct {
	Number    uint64
	Base      uint64
	Hash      Hash
	Author    string
	Message   string
	Time      time.Time
	RequestID string
	Deflated  []byte // Text, RFC 1951
}

func newRevisions(r Retention) *Revisions {
	r.MinRevisions = max(r.MinRevisions, 100)
	return &Revisions{retention: r, changed: make(chan struct{})}
}

// Name implements Machine.
func (r *Revisions) Name() string { return "revisions" }

// Commands implements Machine.
func (r *Revisions) Commands() map[string]uint8 { return map[string]uint8{"propose": 1} }

// proposeV1 is the body of revisions.propose version 1.
type proposeV1 struct {
	Base     uint64
	Hash     Hash
	Author   string
	Message  string
	Time     time.Time
	Deflated []byte
}

// proposeCommand compresses the text, so that every node stores the same octets.
func proposeCommand(p Proposal, now time.Time) (Command, error) {
	if len(p.Text) > MaxDocument {
		return Command{}, fmt.Errorf("document has %d octets; the largest is %d", len(p.Text), MaxDocument)
	}
	deflated, err := deflate(p.Text)
	if err != nil {
		return Command{}, fmt.Errorf("compress document: %w", err)
	}
	return newCommand("revisions", "propose", 1, p.RequestID, proposeV1{
		Base: p.Base, Hash: HashText(p.Text), Author: p.Author, Message: p.Message,
		Time: now.UTC(), Deflated: deflated,
	})
}

// Apply implements Machine.
func (r *Revisions) Apply(cmd Command) ([]byte, error) {
	var body proposeV1
	if err := decodeBody(cmd, &body); err != nil {
		return nil, err
	}
	if current, ok := r.last(); ok && body.Base != current.Number {
		return nil, refuse(CodeConflict, ConflictError{
			Base: body.Base, Current: current.Number, Author: current.Author, Time: current.Time,
		}, "revision %d is not the current one (%d)", body.Base, current.Number)
	} else if !ok && body.Base != 0 {
		return nil, refuse(CodeConflict, ConflictError{Base: body.Base}, "there is no revision %d yet", body.Base)
	}
	// The text is checked before it can become part of the state: a revision that
	// cannot be read back would be worse than none.
	text, err := inflate(body.Deflated)
	switch {
	case errors.Is(err, errTooLarge):
		return nil, refuse(codeTooLarge, nil, "document is larger than %d octets", MaxDocument)
	case err != nil:
		return nil, refuse(codeBadText, nil, "document cannot be decompressed: %v", err)
	case HashText(text) != body.Hash:
		return nil, refuse(codeBadText, nil, "document does not have the hash %s", body.Hash)
	}
	added := storedRevision{
		Number: body.Base + 1, Base: body.Base, Hash: body.Hash, Author: body.Author, Message: body.Message,
		Time: body.Time, RequestID: cmd.RequestID, Deflated: body.Deflated,
	}
	r.mu.Lock()
	r.history = r.retention.prune(append(r.history, added))
	close(r.changed)
	r.changed = make(chan struct{})
	r.mu.Unlock()
	return json.Marshal(added.meta())
}

// prune returns the history without what the retention drops.
func (k Retention) prune(history []storedRevision) []storedRevision {
	size := 0
	for _, s := range history {
		size += len(s.Deflated)
	}
	newest := history[len(history)-1].Time
	drop := 0
	for drop < len(history)-k.MinRevisions {
		oldest := history[drop]
		if newest.Sub(oldest.Time) <= k.MaxAge && size <= k.MaxBytes {
			break
		}
		size -= len(oldest.Deflated)
		drop++
	}
	return slices.Delete(history, 0, drop)
}

// Snapshot implements Machine.
func (r *Revisions) Snapshot() ([]byte, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return json.Marshal(r.history)
}

// Restore implements Machine.
func (r *Revisions) Restore(data []byte) error {
	var history []storedRevision
	if err := json.Unmarshal(data, &history); err != nil {
		return err
	}
	for i := 1; i < len(history); i++ {
		if history[i].Number != history[i-1].Number+1 {
			return fmt.Errorf("revision %d follows revision %d", history[i].Number, history[i-1].Number)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history = history
	close(r.changed)
	r.changed = make(chan struct{})
	return nil
}

func (r *Revisions) last() (storedRevision, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.history) == 0 {
		return storedRevision{}, false
	}
	return r.history[len(r.history)-1], true
}

// Latest returns the newest revision that this node knows, with its text.
// ErrNoRevision means that there is none yet.
func (r *Revisions) Latest() (Revision, error) {
	s, ok := r.last()
	if !ok {
		return Revision{}, ErrNoRevision
	}
	return s.full()
}

// Get returns a revision with its text: ErrNoRevision when it does not exist, a
// *TooOldError when it is no longer kept.
func (r *Revisions) Get(number uint64) (Revision, error) {
	r.mu.RLock()
	var found storedRevision
	var oldest uint64
	if len(r.history) > 0 {
		oldest = r.history[0].Number
		if i := number - oldest; number >= oldest && i < uint64(len(r.history)) {
			found = r.history[i]
		}
	}
	r.mu.RUnlock()
	switch {
	case found.Number != 0:
		return found.full()
	case number > 0 && number < oldest:
		return Revision{}, &TooOldError{Number: number, Oldest: oldest}
	default:
		return Revision{}, fmt.Errorf("revision %d: %w", number, ErrNoRevision)
	}
}

// History returns the newest revisions without their texts, newest first; limit
// 0 means all.
func (r *Revisions) History(limit int) []Revision {
	r.mu.RLock()
	defer r.mu.RUnlock()
	n := len(r.history)
	if limit > 0 {
		n = min(n, limit)
	}
	list := make([]Revision, 0, n)
	for i := len(r.history) - 1; len(list) < n; i-- {
		list = append(list, r.history[i].meta())
	}
	return list
}

// ByRequest returns the revision that a request made, without its text.
func (r *Revisions) ByRequest(requestID string) (Revision, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, s := range slices.Backward(r.history) {
		if s.RequestID == requestID {
			return s.meta(), true
		}
	}
	return Revision{}, false
}

// Watch waits until there is a revision newer than the given one, and returns
// the newest. Revisions between are skipped.
func (r *Revisions) Watch(ctx context.Context, after uint64) (Revision, error) {
	for {
		r.mu.RLock()
		changed := r.changed
		r.mu.RUnlock()
		if s, ok := r.last(); ok && s.Number > after {
			return s.full()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Revision{}, context.Cause(ctx)
		}
	}
}

func (s storedRevision) meta() Revision {
	return Revision{
		Number: s.Number, Base: s.Base, Hash: s.Hash, Author: s.Author, Message: s.Message,
		Time: s.Time, RequestID: s.RequestID,
	}
}

func (s storedRevision) full() (Revision, error) {
	text, err := inflate(s.Deflated)
	if err != nil {
		return Revision{}, fmt.Errorf("revision %d: %w", s.Number, err)
	}
	if HashText(text) != s.Hash {
		return Revision{}, fmt.Errorf("revision %d: the text does not have the hash %s", s.Number, s.Hash)
	}
	rev := s.meta()
	rev.Text = text
	return rev, nil
}

var errTooLarge = fmt.Errorf("text is larger than %d octets", MaxDocument)

func deflate(text string) ([]byte, error) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// inflate bounds what comes out: a small input can hold a very large text.
func inflate(data []byte) (string, error) {
	r := flate.NewReader(bytes.NewReader(data))
	text, err := io.ReadAll(io.LimitReader(r, MaxDocument+1))
	if err != nil {
		return "", err
	}
	if len(text) > MaxDocument {
		return "", errTooLarge
	}
	return string(text), nil
}
