package pki

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// The files of an identity, inside the directory given to Save and Load.
const (
	keyFile  = "node.key"
	certFile = "node.crt"
	caFile   = "ca.crt"
)

// MakeDir makes a directory that only its owner may enter, and takes other
// people's rights from one that exists.
func MakeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.Chmod(dir, 0o700)
}

// WriteFile replaces a file in one step, readable only by its owner. When it
// returns nil, the new content survives a power loss.
func WriteFile(path string, data []byte) error {
	if err := renameio.WriteFile(path, data, 0o600, renameio.IgnoreUmask()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes renames and removals in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Save writes the three parts of an identity (PEM) into dir, the key first: a
// certificate is never there without its key.
func Save(dir string, keyPEM, certPEM, caPEM []byte) error {
	if err := MakeDir(dir); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		data []byte
	}{{keyFile, keyPEM}, {caFile, caPEM}, {certFile, certPEM}} {
		if err := WriteFile(filepath.Join(dir, f.name), f.data); err != nil {
			return err
		}
	}
	return nil
}

// Load reads what Save wrote.
func Load(dir string) (*Identity, error) {
	var parts [3][]byte
	for i, name := range []string{keyFile, certFile, caFile} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		parts[i] = data
	}
	id, err := NewIdentity(parts[0], parts[1], parts[2])
	if err != nil {
		return nil, fmt.Errorf("identity in %s: %w", dir, err)
	}
	return id, nil
}

// Remove deletes what Save wrote. Removing what is gone succeeds.
func Remove(dir string) error {
	for _, name := range []string{keyFile, certFile, caFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := syncDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// RequestFrom returns a certificate request for the key in dir.
func RequestFrom(dir, node string) ([]byte, error) {
	key, err := os.ReadFile(filepath.Join(dir, keyFile))
	if err != nil {
		return nil, err
	}
	return NewCSR(key, node)
}

// Replace puts a renewed certificate into dir, if it belongs to the key and
// authority there, and returns the new identity.
func Replace(dir string, certPEM []byte) (*Identity, error) {
	key, err := os.ReadFile(filepath.Join(dir, keyFile))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(dir, caFile))
	if err != nil {
		return nil, err
	}
	id, err := NewIdentity(key, certPEM, ca)
	if err != nil {
		return nil, fmt.Errorf("renewed certificate: %w", err)
	}
	return id, WriteFile(filepath.Join(dir, certFile), certPEM)
}
