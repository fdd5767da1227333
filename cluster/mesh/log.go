package mesh

import (
	"bytes"
	"context"
	"log"
	"log/slog"
	"sync"
	"time"
)

// repeatPause is how long memberlist's same complaint is not repeated: some of
// them come with every packet of a stranger.
const repeatPause = 10 * time.Second

// bridge is memberlist's logger: lines such as "[WARN] memberlist: …". What
// matters to an operator (who came, who went) is logged by Mesh itself.
type bridge struct {
	log *slog.Logger

	mu   sync.Mutex
	last map[string]time.Time // by the beginning of a line
}

func newBridge(logger *slog.Logger) *log.Logger {
	return log.New(&bridge{log: logger, last: make(map[string]time.Time)}, "", 0)
}

// Write implements io.Writer; log.Logger calls it once for each line.
func (b *bridge) Write(line []byte) (int, error) {
	text := bytes.TrimSpace(line)
	level := slog.LevelWarn
	if rest, found := bytes.CutPrefix(text, []byte("[")); found {
		word, rest, _ := bytes.Cut(rest, []byte("] "))
		text = rest
		// One level below its own: what it calls an error heals by itself.
		switch string(word) {
		case "ERR":
			level = slog.LevelWarn
		case "WARN":
			level = slog.LevelInfo
		default:
			level = slog.LevelDebug
		}
	}
	text = bytes.TrimPrefix(text, []byte("memberlist: "))
	if level > slog.LevelDebug && b.repeated(text) {
		return len(line), nil
	}
	b.log.Log(context.Background(), level, "gossip", "text", string(text))
	return len(line), nil
}

func (b *bridge) repeated(text []byte) bool {
	key := string(text[:min(len(text), 24)])
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if at, known := b.last[key]; known && now.Sub(at) < repeatPause {
		return true
	}
	if len(b.last) > 100 {
		clear(b.last)
	}
	b.last[key] = now
	return false
}
