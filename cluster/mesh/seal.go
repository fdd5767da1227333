package mesh

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
)

// A sealed heartbeat:
//
//	version (1) | salt (16) | nonce (12) | ciphertext | tag (16)
//
// Each sender draws a salt, derives a key of its own from it and the first key
// of its ring, and counts in the nonce: however many heartbeats one key of the
// ring sees, no nonce repeats. Four random bytes in the nonce are for the
// machine that is cloned while it runs.
const (
	sealVersion = 1
	saltLen     = 16
	nonceLen    = 12
	tagLen      = 16
	sealHeader  = 1 + saltLen + nonceLen
	maxSealed   = sealHeader + MaxPayload + tagLen

	// knownSenders bounds the derived keys that are remembered.
	knownSenders = 256
)

type salt [saltLen]byte

// sealer seals heartbeats with the first key of a ring and opens them with any.
// It has no lock.
type sealer struct {
	clusterID []byte
	keys      [][]byte

	salt    salt
	counter uint64
	own     cipher.AEAD

	others map[salt]cipher.AEAD // keys of senders that were opened before
}

func newSealer(clusterID string, keys [][]byte) (*sealer, error) {
	s := &sealer{clusterID: []byte(clusterID)}
	return s, s.setKeys(keys)
}

// setKeys replaces the ring. A salt stands for one key, so there is a new one.
func (s *sealer) setKeys(keys [][]byte) error {
	var next salt
	if _, err := rand.Read(next[:]); err != nil {
		return fmt.Errorf("draw salt: %w", err)
	}
	own, err := derive(keys[0], next)
	if err != nil {
		return err
	}
	s.keys = make([][]byte, len(keys))
	for i, key := range keys {
		s.keys[i] = slices.Clone(key)
	}
	s.salt, s.counter, s.own = next, 0, own
	s.others = make(map[salt]cipher.AEAD)
	return nil
}

func derive(key []byte, of salt) (cipher.AEAD, error) {
	sub, err := hkdf.Key(sha256.New, key, of[:], "hacluster heartbeat", KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	block, err := aes.NewCipher(sub)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return cipher.NewGCM(block)
}

// seal appends the sealed payload to b.
func (s *sealer) seal(b, payload []byte) ([]byte, error) {
	s.counter++
	b = append(b, sealVersion)
	b = append(b, s.salt[:]...)
	var nonce [nonceLen]byte
	if _, err := rand.Read(nonce[:4]); err != nil {
		return nil, fmt.Errorf("draw nonce: %w", err)
	}
	binary.BigEndian.PutUint64(nonce[4:], s.counter)
	b = append(b, nonce[:]...)
	return s.own.Seal(b, nonce[:], payload, s.clusterID), nil
}

// open appends the payload of a sealed heartbeat to b. It fails on any other
// bytes: of another key, another cluster, or changed on the way.
func (s *sealer) open(b, sealed []byte) ([]byte, bool) {
	if len(sealed) < sealHeader+tagLen || len(sealed) > maxSealed || sealed[0] != sealVersion {
		return nil, false
	}
	from := salt(sealed[1:])
	nonce, text := sealed[1+saltLen:sealHeader], sealed[sealHeader:]
	if aead, known := s.others[from]; known {
		payload, err := aead.Open(b, nonce, text, s.clusterID)
		return payload, err == nil
	}
	for _, key := range s.keys {
		aead, err := derive(key, from)
		if err != nil {
			return nil, false
		}
		if payload, err := aead.Open(b, nonce, text, s.clusterID); err == nil {
			if len(s.others) >= knownSenders {
				clear(s.others)
			}
			s.others[from] = aead
			return payload, true
		}
	}
	return nil, false
}
