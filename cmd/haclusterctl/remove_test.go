package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

func TestRemoveAsksOnATerminalAndNamesWhatIsMeant(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "api.sock")
	stop, err := (&daemon{}).start(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	tests := []struct {
		node, answer string
		wantExit     int
		wantOut      string
		wantAsked    []string
	}{
		{"lb03", "y\n", exitDone, "lb03 is no member of cluster web any more", []string{"this takes lb03 (192.0.2.13:7112, last seen", "Remove it? [y/N]"}},
		{"lb03", "\n", exitRefused, "", []string{"Remove it? [y/N]", "not removed; nothing was changed"}},
		{"lb09", "y\n", exitRefused, "", []string{"there is no node lb09"}},
	}
	for _, tt := range tests {
		t.Run(tt.node+" "+strings.TrimSpace(tt.answer), func(t *testing.T) {
			var out, asked bytes.Buffer
			a := newApp(strings.NewReader(tt.answer), &out, &asked, func(string) string { return "" })
			a.interactive = true
			if code := a.run(t.Context(), []string{"--socket", socket, "remove", tt.node}); code != tt.wantExit {
				t.Errorf("exit %d, want %d", code, tt.wantExit)
			}
			if !strings.Contains(out.String(), tt.wantOut) {
				t.Errorf("out = %q, want %q", out.String(), tt.wantOut)
			}
			for _, want := range tt.wantAsked {
				if !strings.Contains(asked.String(), want) {
					t.Errorf("asked %q, want %q", asked.String(), want)
				}
			}
		})
	}
}
