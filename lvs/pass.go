package lvs

import (
	"context"
	"maps"
	"slices"
	"time"
)

// pass reads what must be read, writes what differs, and publishes.
func (r *Reconciler) pass(ctx context.Context, now time.Time) {
	asked, err := r.read(ctx, now)
	if err != nil {
		r.lost(ctx, now, err)
		return
	}
	keys := slices.SortedFunc(maps.Keys(r.dirty), Key.Compare)
	clear(r.dirty)
	keys = slices.DeleteFunc(keys, func(k Key) bool { return now.Before(r.setbacks[k].retry) })

	r.claim(keys)
	ops := r.plan(now, keys)
	var refused []Refusal
	if len(ops) > 0 {
		r.warnOfDrift(ops, asked)
		if refused, err = r.opts.Kernel.Write(ctx, ops); err != nil {
			r.lost(ctx, now, err)
			return
		}
		r.written(ops, refused)
	}
	r.setBack(now, keys, refused)
	r.failures, r.status.Err = 0, nil
	r.publish(keys)
}

// read brings what is known up to date: all of it when that is due, else what is
// doubtful and what is draining. What was read is dirty afterwards. After a
// reading of all that was known before, it returns what was dirty already: what
// must be written beyond that was changed by others.
func (r *Reconciler) read(ctx context.Context, now time.Time) (asked map[Key]bool, err error) {
	if r.failures == 0 && now.Before(r.readAt) {
		return nil, r.readSome(ctx, now)
	}
	known := r.failures == 0 && !r.readAt.IsZero()
	states, err := r.opts.Kernel.Read(ctx)
	if err != nil {
		return nil, err
	}
	if r.haveSync, err = r.opts.Kernel.ReadSync(ctx); err != nil {
		return nil, err
	}
	if known {
		asked = maps.Clone(r.dirty)
		maps.Copy(asked, r.stale)
		for k := range r.drains {
			asked[k] = true
		}
	}
	clear(r.stale)
	clear(r.foreign)
	r.have = tableOf(states)
	r.readAt = now.Add(r.opts.ReadEvery)
	for k := range r.want {
		r.dirty[k] = true
	}
	for k := range r.have {
		r.dirty[k] = true
	}
	r.dirty[Key{}] = true
	r.forget()
	return asked, nil
}

func (r *Reconciler) readSome(ctx context.Context, now time.Time) error {
	for k := range r.drains {
		r.dirty[k] = true
	}
	for k, s := range r.setbacks {
		if !now.Before(s.retry) {
			r.dirty[k] = true
		}
	}
	var keys []Key
	for k := range r.dirty {
		if _, draining := r.drains[k]; (draining || r.stale[k]) && k != (Key{}) {
			keys = append(keys, k)
		}
	}
	if r.stale[Key{}] && r.dirty[Key{}] {
		var err error
		if r.haveSync, err = r.opts.Kernel.ReadSync(ctx); err != nil {
			return err
		}
		delete(r.stale, Key{})
	}
	if len(keys) == 0 {
		return nil
	}
	states, err := r.opts.Kernel.Read(ctx, keys...)
	if err != nil {
		return err
	}
	r.have.update(keys, states)
	for _, k := range keys {
		delete(r.stale, k)
	}
	return nil
}

// plan is what must be written of these services.
func (r *Reconciler) plan(now time.Time, keys []Key) []Op {
	var ops, start []Op
	if slices.Contains(keys, Key{}) {
		ops, start = DiffSync(r.wantSync, r.haveSync, r.journal.Set())
	}
	for _, k := range keys {
		if k != (Key{}) {
			want := r.drains.keep(now, k, r.want[k], r.have[k], r.journal.Set(), r.limit, r.failing[k])
			ops = appendDiff(ops, want, r.have[k], r.journal.Set())
		}
	}
	return append(ops, start...)
}

// written takes over what the kernel did.
func (r *Reconciler) written(ops []Op, refused []Refusal) {
	not := make(map[Op]bool, len(refused))
	for _, f := range refused {
		not[f.Op] = true
	}
	var gone []Entry
	for _, op := range ops {
		if not[op] {
			continue
		}
		r.status.Writes++
		r.opts.Log.Debug("kernel table changed", "op", op)
		switch op := op.(type) {
		case StartSync:
			r.haveSync = append(r.haveSync, op.Daemon)
			continue
		case StopSync:
			r.haveSync = slices.DeleteFunc(r.haveSync, func(d SyncDaemon) bool { return d.Role == op.Role })
			if !r.wanted(Entry{Sync: op.Role}) {
				gone = append(gone, Entry{Sync: op.Role})
			}
			continue
		case DeleteServer:
			gone = append(gone, Entry{Service: op.Key, Server: op.Address})
		case DeleteService:
			gone = append(gone, Entry{Service: op.Key})
			for _, s := range r.have[op.Key].Servers {
				gone = append(gone, Entry{Service: op.Key, Server: s.Address})
			}
		}
		r.have.apply(op)
	}
	r.noteJournal(r.journal.Remove(gone...))
}

// setBack notes what was refused of the services keys, and that nothing was of
// the others.
func (r *Reconciler) setBack(now time.Time, keys []Key, refused []Refusal) {
	first := make(map[Key]Refusal)
	for _, f := range refused {
		k := f.Op.service()
		r.stale[k] = true
		if _, ok := first[k]; !ok {
			first[k] = f // the others may only follow from it
		}
	}
	for _, k := range keys {
		f, ok := first[k]
		if !ok {
			delete(r.setbacks, k)
			delete(r.failing, k)
			continue
		}
		before := r.setbacks[k]
		s := setback{Refusal: f, attempts: before.attempts + 1, retry: now}
		if s.attempts > 1 {
			s.retry = now.Add(backoff(s.attempts - 1))
			if before.attempts == 1 || before.Error() != f.Error() {
				r.opts.Log.Error("the kernel refuses a virtual service", "service", k, "op", f.Op, "err", f.Err)
			}
		}
		r.setbacks[k] = s
	}
}

// backoff is the wait after so many attempts.
func backoff(attempts int) time.Duration {
	return min(retryFirst<<min(attempts-1, 10), retryLast)
}

// lost notes that an exchange with the kernel failed: what it did is not known.
func (r *Reconciler) lost(ctx context.Context, now time.Time, err error) {
	if ctx.Err() != nil {
		return // we are leaving
	}
	r.failures++
	r.readAt = now.Add(backoff(r.failures))
	if r.failures == 1 {
		r.opts.Log.Error("the kernel's table cannot be read or written; trying again", "err", err)
	}
	r.status.Err = err
	r.publish(nil)
}

// claim notes that what is wanted is ours, before any of it is made.
func (r *Reconciler) claim(keys []Key) {
	var entries []Entry
	note := func(e Entry) {
		if !r.journal.Set()[e] {
			entries = append(entries, e)
		}
	}
	for _, k := range keys {
		w := r.want[k]
		if w == nil {
			continue
		}
		note(Entry{Service: k})
		for _, s := range w.Servers {
			note(Entry{Service: k, Server: s.Address})
		}
	}
	for _, d := range r.wantSync {
		note(Entry{Sync: d.Role})
	}
	r.noteJournal(r.journal.Add(entries...))
}

// forget releases what is neither wanted nor there any more.
func (r *Reconciler) forget() {
	var gone []Entry
	for e := range r.journal.Set() {
		if !r.wanted(e) && !r.there(e) {
			gone = append(gone, e)
		}
	}
	r.noteJournal(r.journal.Remove(gone...))
}

func (r *Reconciler) wanted(e Entry) bool {
	if e.Sync != 0 {
		return slices.ContainsFunc(r.wantSync, func(d SyncDaemon) bool { return d.Role == e.Sync })
	}
	w := r.want[e.Service]
	return w != nil && (!e.Server.IsValid() || w.has(e.Server))
}

func (r *Reconciler) there(e Entry) bool {
	if e.Sync != 0 {
		return slices.ContainsFunc(r.haveSync, func(d SyncDaemon) bool { return d.Role == e.Sync })
	}
	h := r.have[e.Service]
	return h != nil && (!e.Server.IsValid() || h.server(e.Server) != nil)
}

func (r *Reconciler) noteJournal(err error) {
	if err != nil && r.status.Journal == nil {
		r.opts.Log.Warn("journal of virtual services cannot be written: after a crash what is wanted no more would stay", "err", err)
	}
	r.status.Journal = err
}

// warnOfDrift says that others changed what is ours, if a reading of all found
// so (see read).
func (r *Reconciler) warnOfDrift(ops []Op, asked map[Key]bool) {
	if asked == nil {
		return
	}
	var drift []Op
	for _, op := range ops {
		if !asked[op.service()] {
			drift = append(drift, op)
		}
	}
	if len(drift) > 0 {
		r.opts.Log.Warn("somebody else changed virtual services; they are put right", "ops", len(drift), "first", drift[0])
	}
}
