package store

import (
	"bytes"
	"encoding/json"
	"maps"
	"sync"
)

// CodeSecretChanged is the refusal of a secret that was changed meanwhile.
const CodeSecretChanged Code = "secret-changed"

// Secrets is the machine that holds what every member keeps secret, by name:
// the authority's key, the gossip keys.
type Secrets struct {
	mu      sync.RWMutex
	secrets map[string]secret
	changed chan struct{}
}

type secret struct {
	Version uint64 // from 1, raised by each change
	Value   []byte
}

func newSecrets() *Secrets {
	return &Secrets{secrets: make(map[string]secret), changed: make(chan struct{})}
}

// Name implements Machine.
func (s *Secrets) Name() string { return "secrets" }

// Commands implements Machine.
func (s *Secrets) Commands() map[string]uint8 { return map[string]uint8{"put": 1} }

// putV1 is the body of secrets.put version 1.
type putV1 struct {
	Name  string
	Base  uint64 // the version that is replaced; 0 when there is none
	Value []byte
}

// Apply implements Machine.
func (s *Secrets) Apply(cmd Command) ([]byte, error) {
	var body putV1
	if err := decodeBody(cmd, &body); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if current := s.secrets[body.Name].Version; current != body.Base {
		return nil, refuse(CodeSecretChanged, nil, "secret %s has version %d, not %d: somebody changed it meanwhile", body.Name, current, body.Base)
	}
	s.secrets[body.Name] = secret{Version: body.Base + 1, Value: body.Value}
	close(s.changed)
	s.changed = make(chan struct{})
	return nil, nil
}

// Snapshot implements Machine.
func (s *Secrets) Snapshot() ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return json.Marshal(s.secrets)
}

// Restore implements Machine.
func (s *Secrets) Restore(data []byte) error {
	var restored map[string]secret
	if err := json.Unmarshal(data, &restored); err != nil {
		return err
	}
	secrets := make(map[string]secret, len(restored))
	maps.Copy(secrets, restored)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets = secrets
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

// Get returns a secret and its version; version 0 means that there is none.
func (s *Secrets) Get(name string) (value []byte, version uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := s.secrets[name]
	return bytes.Clone(found.Value), found.Version
}

// Changed returns a channel that is closed at the next change.
func (s *Secrets) Changed() <-chan struct{} {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.changed
}
