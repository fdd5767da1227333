package store

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// moody is a log that refuses writes while it is told to.
type moody struct {
	raft.LogStore
	refuse error
}

func (m *moody) StoreLog(entry *raft.Log) error {
	if m.refuse != nil {
		return m.refuse
	}
	return m.LogStore.StoreLog(entry)
}

// Raft goes on trying to write to a disk without room, so nothing ends; but
// people must be told, for as long as it lasts.
func TestDiskThatRefusesWritesIsAProblemUntilOneSucceeds(t *testing.T) {
	memory := raft.NewInmemStore()
	full := errors.New("no space left on device")
	logs := &moody{LogStore: memory}
	d := newDisk(logs, memory, time.Minute, slog.New(slog.DiscardHandler))
	defer d.Close()
	for i, refuse := range []error{nil, full, full, nil} {
		logs.refuse = refuse
		err := d.StoreLog(&raft.Log{Index: uint64(i + 1)})
		if !errors.Is(err, refuse) || !errors.Is(d.problem(), refuse) {
			t.Errorf("write %d: %v, problem %v; want %v for both", i, err, d.problem(), refuse)
		}
	}
}
