package observed

// ring keeps the last len(buf) values that were added, numbered from 1.
type ring[T any] struct {
	buf     []T
	added   uint64
	changed chan struct{} // closed and replaced when a value is added
}

func newRing[T any](size int) ring[T] {
	return ring[T]{buf: make([]T, size), changed: make(chan struct{})}
}

func (r *ring[T]) add(v T) {
	r.buf[r.added%uint64(len(r.buf))] = v
	r.added++
	close(r.changed)
	r.changed = make(chan struct{})
}

// since copies what was added after the value number seq, as far as it is
// still kept. A number above the last comes from before a restart: everything
// is new then.
func (r *ring[T]) since(seq uint64) []T {
	if seq > r.added {
		seq = 0
	}
	if r.added > uint64(len(r.buf)) {
		seq = max(seq, r.added-uint64(len(r.buf)))
	}
	if seq >= r.added {
		return nil
	}
	out := make([]T, 0, r.added-seq)
	for ; seq < r.added; seq++ {
		out = append(out, r.buf[seq%uint64(len(r.buf))])
	}
	return out
}
