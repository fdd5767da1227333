package mesh

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestGossipComplaintsGoToTheLogOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		bridge := newBridge(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
		for range 5 {
			bridge.Printf("[ERR] memberlist: Decrypt packet failed: no installed keys could decrypt the message from=192.0.2.9:7112")
			bridge.Printf("[DEBUG] memberlist: Stream connection from=192.0.2.9:1234")
		}
		time.Sleep(repeatPause)
		bridge.Printf("[ERR] memberlist: Decrypt packet failed: no installed keys could decrypt the message from=192.0.2.9:7112")
		bridge.Printf("[WARN] memberlist: Refuting a suspect message (from: n2)")
		bridge.Printf("no prefix")

		for text, want := range map[string]int{
			`level=WARN msg=gossip text="Decrypt packet failed`: 2,
			`level=DEBUG msg=gossip text="Stream connection`:    5,
			`level=INFO msg=gossip text="Refuting`:              1,
			`level=WARN msg=gossip text="no prefix"`:            1,
		} {
			if got := strings.Count(out.String(), text); got != want {
				t.Errorf("%q stands %d times in the log, want %d:\n%s", text, got, want, out.String())
			}
		}
	})
}
