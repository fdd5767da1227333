package store

import (
	"crypto/subtle"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Refusals of the tokens machine. Their detail is the Token, where there is one.
const (
	CodeTokenUnknown Code = "token-unknown"
	CodeTokenExpired Code = "token-expired"
	CodeTokenUsed    Code = "token-used"
	CodeTokenRevoked Code = "token-revoked"
	CodeTokenExists  Code = "token-exists"
)

// forgetAfter is how long an expired token is kept, so that the machine that
// tries it is told that it expired, and not that it is unknown.
const forgetAfter = 30 * 24 * time.Hour

// Token is a join token as the cluster keeps it: without its secret.
type Token struct {
	ID        string
	Hash      []byte `json:",omitempty"` // empty in lists
	Role      Role
	Created   time.Time
	CreatedBy string
	Expires   time.Time
	Uses      int // how often it may be used; 0: any number of times
	LastUsed  time.Time
	UsedBy    []string // the nodes that joined with it, in order
	Revoked   time.Time
	RevokedBy string
}

// Tokens is the machine that holds the join tokens.
type Tokens struct {
	mu     sync.RWMutex
	tokens map[string]Token
}

func newTokens() *Tokens { return &Tokens{tokens: make(map[string]Token)} }

// Name implements Machine.
func (t *Tokens) Name() string { return "tokens" }

// Commands implements Machine.
func (t *Tokens) Commands() map[string]uint8 {
	return map[string]uint8{"create": 1, "redeem": 1, "refund": 1, "revoke": 1}
}

// redeemV1 is the body of tokens.redeem and tokens.refund version 1.
type redeemV1 struct {
	ID   string
	Hash []byte
	Node string
	Now  time.Time // of the leader's clock
}

// revokeV1 is the body of tokens.revoke version 1.
type revokeV1 struct {
	ID  string
	By  string
	Now time.Time
}

// Apply implements Machine. The body of create version 1 is a Token.
func (t *Tokens) Apply(cmd Command) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch cmd.Name {
	case "create":
		var body Token
		if err := decodeBody(cmd, &body); err != nil {
			return nil, err
		}
		return nil, t.create(body)
	case "redeem":
		var body redeemV1
		if err := decodeBody(cmd, &body); err != nil {
			return nil, err
		}
		token, err := t.redeem(body)
		if err != nil {
			return nil, err
		}
		return json.Marshal(token.public())
	case "refund":
		var body redeemV1
		if err := decodeBody(cmd, &body); err != nil {
			return nil, err
		}
		t.refund(body)
		return nil, nil
	case "revoke":
		var body revokeV1
		if err := decodeBody(cmd, &body); err != nil {
			return nil, err
		}
		token, ok := t.tokens[body.ID]
		if !ok {
			return nil, refuse(CodeTokenUnknown, nil, "there is no token %s", body.ID)
		}
		if token.Revoked.IsZero() {
			token.Revoked, token.RevokedBy = body.Now, body.By
			t.tokens[body.ID] = token
		}
		return nil, nil
	default:
		panic("store: tokens: unlisted command " + cmd.Name)
	}
}

func (t *Tokens) create(add Token) error {
	if _, ok := t.tokens[add.ID]; ok {
		return refuse(CodeTokenExists, nil, "token %s exists", add.ID)
	}
	maps.DeleteFunc(t.tokens, func(_ string, old Token) bool { return add.Created.Sub(old.Expires) > forgetAfter })
	t.tokens[add.ID] = add
	return nil
}

// redeem uses up one use of a token.
func (t *Tokens) redeem(r redeemV1) (Token, error) {
	token, err := t.usable(r)
	if err != nil {
		return Token{}, err
	}
	token.LastUsed, token.UsedBy = r.Now, append(slices.Clip(token.UsedBy), r.Node)
	t.tokens[r.ID] = token
	return token, nil
}

// usable returns the token if it can be used. A wrong secret is answered as an
// unknown token: who has only the id learns nothing.
func (t *Tokens) usable(r redeemV1) (Token, error) {
	token, ok := t.tokens[r.ID]
	switch {
	case !ok || subtle.ConstantTimeCompare(token.Hash, r.Hash) != 1:
		return Token{}, refuse(CodeTokenUnknown, nil, "token %s is unknown", r.ID)
	case !token.Revoked.IsZero():
		return Token{}, refuse(CodeTokenRevoked, token.public(), "token %s was revoked", r.ID)
	case !r.Now.Before(token.Expires):
		return Token{}, refuse(CodeTokenExpired, token.public(), "token %s has expired", r.ID)
	case token.Uses > 0 && len(token.UsedBy) >= token.Uses:
		return Token{}, refuse(CodeTokenUsed, token.public(), "token %s was used", r.ID)
	}
	return token, nil
}

// Known says whether this node's state has the token. It keeps those who guess
// away from the log; only RedeemToken decides.
func (t *Tokens) Known(id string, hash []byte) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	token, ok := t.tokens[id]
	return ok && subtle.ConstantTimeCompare(token.Hash, hash) == 1
}

// refund gives back the use of a node whose join came to nothing.
func (t *Tokens) refund(r redeemV1) {
	token, ok := t.tokens[r.ID]
	if i := slices.Index(token.UsedBy, r.Node); ok && i >= 0 {
		token.UsedBy = slices.Delete(slices.Clone(token.UsedBy), i, i+1)
		t.tokens[r.ID] = token
	}
}

// public returns the token without its hash.
func (t Token) public() Token {
	t.Hash = nil
	return t
}

// Snapshot implements Machine.
func (t *Tokens) Snapshot() ([]byte, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return json.Marshal(t.tokens)
}

// Restore implements Machine.
func (t *Tokens) Restore(data []byte) error {
	var restored map[string]Token
	if err := json.Unmarshal(data, &restored); err != nil {
		return err
	}
	tokens := make(map[string]Token, len(restored))
	maps.Copy(tokens, restored)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tokens = tokens
	return nil
}

// List returns the tokens without their hashes, oldest first.
func (t *Tokens) List() []Token {
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := make([]Token, 0, len(t.tokens))
	for _, token := range t.tokens {
		list = append(list, token.public())
	}
	slices.SortFunc(list, func(a, b Token) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}
