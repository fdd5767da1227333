package pki

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"strings"
	"unicode"
)

// Role is what a node that joins will be.
type Role uint8

// The roles. Their numbers are part of the token format.
const (
	// Voter takes part in the majority and holds VIPs.
	Voter Role = 1
	// NonVoter follows the configuration and holds VIPs, but has no vote.
	NonVoter Role = 2
	// Witness votes, and holds no VIP.
	Witness Role = 3
)

// String returns the role in the operator's spelling.
func (r Role) String() string {
	switch r {
	case Voter:
		return "voter"
	case NonVoter:
		return "non-voter"
	case Witness:
		return "witness"
	default:
		return fmt.Sprintf("role %d", uint8(r))
	}
}

// ParseRole reads what String prints.
func ParseRole(text string) (Role, error) {
	for _, r := range []Role{Voter, NonVoter, Witness} {
		if text == r.String() {
			return r, nil
		}
	}
	return 0, fmt.Errorf("role %q is unknown; use voter, non-voter or witness", text)
}

const (
	tokenPrefix    = "hacl1."
	tokenIDSize    = 5  // 8 characters
	secretSize     = 16 // 128 bits
	checksumSize   = 4
	maxHints       = 7 // as many as a cluster has voters
	maxHintLength  = 255
	maxTokenLength = len(tokenPrefix) + 8*(maxHints*(maxHintLength+1)+64)/5
)

// Token admits a machine to a cluster. Its text is a secret.
type Token struct {
	Role   Role
	Pin    Pin              // of the cluster's authority
	ID     string           // 8 characters of base32, by which lists and commands name it
	Secret [secretSize]byte // random
	Addrs  []string         // members to try, host:port, at most 7
}

// NewToken makes a token with a new id and secret.
func NewToken(role Role, pin Pin, addrs []string) (Token, error) {
	t := Token{Role: role, Pin: pin, ID: randomID(tokenIDSize), Addrs: addrs}
	rand.Read(t.Secret[:]) // never fails: see crypto/rand
	if _, err := ParseRole(role.String()); err != nil {
		return Token{}, err
	}
	if len(addrs) > maxHints {
		return Token{}, fmt.Errorf("token has %d addresses; use at most %d", len(addrs), maxHints)
	}
	for _, addr := range addrs {
		if len(addr) == 0 || len(addr) > maxHintLength {
			return Token{}, fmt.Errorf("token address %q has %d characters; use 1 to %d", addr, len(addr), maxHintLength)
		}
	}
	return t, nil
}

// Hash returns what the cluster stores of the token.
func (t Token) Hash() [sha256.Size]byte { return hashSecret(t.ID, t.Secret[:]) }

// HashSecret returns the Hash of the token with that id and secret.
func HashSecret(id string, secret []byte) ([sha256.Size]byte, error) {
	if len(secret) != secretSize {
		return [sha256.Size]byte{}, fmt.Errorf("secret of token %s has %d octets, want %d", id, len(secret), secretSize)
	}
	return hashSecret(id, secret), nil
}

func hashSecret(id string, secret []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write([]byte(tokenPrefix + id + "."))
	h.Write(secret)
	return [sha256.Size]byte(h.Sum(nil))
}

// String returns the token without its secret, for logs. Text returns all of it.
func (t Token) String() string { return fmt.Sprintf("token %s (%s)", t.ID, t.Role) }

// Text returns the token as it is pasted: hacl1. and base32 in lower case. The
// base32 is, in this order: role (1 octet), pin (20), id (5), secret (16), number
// of addresses (1), each address with its length (1) before it, and the CRC-32 of
// all that and the prefix (4), which lets a truncated paste fail locally.
func (t Token) Text() string {
	var b bytes.Buffer
	b.WriteByte(byte(t.Role))
	b.Write(t.Pin[:])
	id, err := lowerBase32.DecodeString(t.ID)
	if err != nil || len(id) != tokenIDSize {
		panic(fmt.Sprintf("pki: token with id %q", t.ID))
	}
	b.Write(id)
	b.Write(t.Secret[:])
	b.WriteByte(byte(len(t.Addrs)))
	for _, addr := range t.Addrs {
		b.WriteByte(byte(len(addr)))
		b.WriteString(addr)
	}
	b.Write(checksum(b.Bytes()))
	return tokenPrefix + lowerBase32.EncodeToString(b.Bytes())
}

func checksum(body []byte) []byte {
	sum := crc32.Update(crc32.ChecksumIEEE([]byte(tokenPrefix)), crc32.IEEETable, body)
	return []byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}
}

// ParseToken reads a token as pasted: upper or lower case, with blanks or line
// breaks that a terminal put into it. Its errors are MalformedTokenErrors.
func ParseToken(text string) (Token, error) {
	malformed := func(format string, args ...any) (Token, error) {
		return Token{}, &MalformedTokenError{Reason: fmt.Sprintf(format, args...)}
	}
	if len(text) > 2*maxTokenLength {
		return malformed("has %d characters, more than any token", len(text))
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, text)
	switch {
	case text == "":
		return malformed("is empty")
	case !strings.HasPrefix(text, tokenPrefix):
		return malformed("does not begin with %s", tokenPrefix)
	}
	raw, err := lowerBase32.DecodeString(text[len(tokenPrefix):])
	if err != nil {
		return malformed("is truncated or mistyped (not base32)")
	}
	if len(raw) < checksumSize {
		return malformed("is truncated (%d characters)", len(text))
	}
	body, sum := raw[:len(raw)-checksumSize], raw[len(raw)-checksumSize:]
	if !bytes.Equal(sum, checksum(body)) {
		return malformed("is truncated or mistyped (its checksum is wrong)")
	}

	// From here on the text is what somebody encoded on purpose, so what does not
	// fit is the work of another version, or forged.
	t := Token{}
	const fixed = 1 + len(t.Pin) + tokenIDSize + secretSize + 1
	if len(body) < fixed {
		return malformed("has %d octets, want at least %d", len(body), fixed)
	}
	t.Role, body = Role(body[0]), body[1:]
	if _, err := ParseRole(t.Role.String()); err != nil {
		return malformed("is for %s, which this version does not know", t.Role)
	}
	body = body[copy(t.Pin[:], body):]
	t.ID, body = lowerBase32.EncodeToString(body[:tokenIDSize]), body[tokenIDSize:]
	body = body[copy(t.Secret[:], body):]
	count, body := int(body[0]), body[1:]
	if count > maxHints {
		return malformed("has %d addresses, want at most %d", count, maxHints)
	}
	for range count {
		if len(body) < 1 || body[0] == 0 || len(body) < 1+int(body[0]) {
			return malformed("has an incomplete address")
		}
		t.Addrs = append(t.Addrs, string(body[1:1+body[0]]))
		body = body[1+body[0]:]
	}
	if len(body) != 0 {
		return malformed("has %d octets too many", len(body))
	}
	return t, nil
}
