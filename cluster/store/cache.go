package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
)

// CorruptCacheError says that the cached revision cannot be used. The node starts
// without it, and waits for the cluster.
type CorruptCacheError struct {
	Path string
	Err  error
}

func (e *CorruptCacheError) Error() string {
	return fmt.Sprintf("cached revision %s is damaged: %v: starting without it", e.Path, e.Err)
}

func (e *CorruptCacheError) Unwrap() error { return e.Err }

// cacheFormat is raised when an older program could misread the file.
const cacheFormat = 1

// cached is the file's content. The sum covers all of it, so that a changed
// number or author is noticed as a changed text is.
type cached struct {
	Format    int
	ClusterID string
	Number    uint64
	Hash      Hash
	Author    string
	Message   string
	Time      time.Time
	RequestID string
	Text      string
	Sum       Hash // of the same with Sum zero
}

func (c cached) sum() (Hash, error) {
	c.Sum = Hash{}
	data, err := json.Marshal(c)
	return HashText(string(data)), err
}

// SaveCache writes the revision that the node has applied, in one step, readable
// by root only: the text holds passwords. When it returns nil, the file survives a
// power loss.
func SaveCache(path, clusterID string, rev Revision) error {
	c := cached{
		Format: cacheFormat, ClusterID: clusterID, Number: rev.Number, Hash: rev.Hash, Author: rev.Author,
		Message: rev.Message, Time: rev.Time.UTC(), RequestID: rev.RequestID, Text: rev.Text,
	}
	var err error
	if c.Sum, err = c.sum(); err != nil {
		return fmt.Errorf("cache revision %d: %w", rev.Number, err)
	}
	data, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("cache revision %d: %w", rev.Number, err)
	}
	if err := renameio.WriteFile(path, data, 0o600, renameio.IgnoreUmask()); err != nil {
		return fmt.Errorf("cache revision %d: %w", rev.Number, err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("cache revision %d: %w", rev.Number, err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// LoadCache reads what SaveCache wrote for this cluster: ErrNoRevision when there
// is none, a *CorruptCacheError when it cannot be used.
func LoadCache(path, clusterID string) (Revision, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Revision{}, ErrNoRevision
	}
	if err != nil {
		return Revision{}, err
	}
	damaged := func(format string, args ...any) (Revision, error) {
		return Revision{}, &CorruptCacheError{Path: path, Err: fmt.Errorf(format, args...)}
	}
	var c cached
	if err := json.Unmarshal(data, &c); err != nil {
		return damaged("%w", err)
	}
	sum, err := c.sum()
	switch {
	case err != nil:
		return damaged("%w", err)
	case c.Format != cacheFormat:
		return damaged("it has format %d; this version of haclusterd knows %d", c.Format, cacheFormat)
	case sum != c.Sum:
		return damaged("its checksum is wrong")
	case HashText(c.Text) != c.Hash:
		return damaged("its text does not have the hash %s", c.Hash)
	case c.ClusterID != clusterID:
		return damaged("it belongs to cluster %s, not to %s", c.ClusterID, clusterID)
	}
	return Revision{
		Number: c.Number, Base: c.Number - 1, Hash: c.Hash, Author: c.Author, Message: c.Message,
		Time: c.Time, RequestID: c.RequestID, Text: c.Text,
	}, nil
}
