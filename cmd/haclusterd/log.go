package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
)

// newLogger returns the daemon's logger: one line per record on w. Under
// systemd (JOURNAL_STREAM is set) each line starts with its journal priority
// and carries no time, because the journal has both.
func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var min slog.Level
	if err := min.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %s is unknown; use debug, info, warn or error", level)
	}
	journal := os.Getenv("JOURNAL_STREAM") != ""
	opts := &slog.HandlerOptions{Level: min, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key != slog.TimeKey || len(groups) > 0 {
			return a
		}
		if journal {
			return slog.Attr{}
		}
		return slog.String(slog.TimeKey, a.Value.Time().UTC().Format("2006-01-02T15:04:05.000Z"))
	}}
	if journal {
		w = &linePrefixer{w: w}
	}
	var h slog.Handler
	switch format {
	case "text":
		h = slog.NewTextHandler(w, opts)
	case "json":
		h = slog.NewJSONHandler(w, opts)
	default:
		return nil, fmt.Errorf("--log-format %s is unknown; use text or json", format)
	}
	if journal {
		h = &journalHandler{Handler: h, out: w.(*linePrefixer)}
	}
	return slog.New(h), nil
}

// journalHandler tells the prefixer the priority of the line that comes next.
type journalHandler struct {
	slog.Handler
	out *linePrefixer
}

func (h *journalHandler) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	switch {
	case r.Level >= slog.LevelError:
		h.out.priority = 3
	case r.Level >= slog.LevelWarn:
		h.out.priority = 4
	case r.Level >= slog.LevelInfo:
		h.out.priority = 6
	default:
		h.out.priority = 7
	}
	return h.Handler.Handle(ctx, r)
}

func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &journalHandler{Handler: h.Handler.WithAttrs(attrs), out: h.out}
}

func (h *journalHandler) WithGroup(name string) slog.Handler {
	return &journalHandler{Handler: h.Handler.WithGroup(name), out: h.out}
}

// linePrefixer writes "<N>" before each line, N being the priority that
// journalHandler, which holds mu meanwhile, has set.
type linePrefixer struct {
	mu       sync.Mutex
	priority int
	w        io.Writer
}

func (p *linePrefixer) Write(line []byte) (int, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<%d>", p.priority)
	b.Write(line)
	if _, err := p.w.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(line), nil
}
