package config

import (
	"slices"
	"testing"
)

func TestCommandsAreSplitOrGivenToAShell(t *testing.T) {
	tests := []struct {
		text string
		want []string
	}{
		{`/bin/x a 'b c' "d e"f`, []string{"/bin/x", "a", "b c", "d ef"}},
		{`killall -0 haproxy`, []string{"killall", "-0", "haproxy"}},
		{`curl http://h/?a=1&b=2`, []string{"curl", "http://h/?a=1&b=2"}},
		{`/bin/x '&&' "|"`, []string{"/bin/x", "&&", "|"}},
		{` [[ -f /etc/keepalived/down ]] && exit 1`, []string{"[[", "-f", "/etc/keepalived/down", "]]", "&&", "exit", "1"}},
		{`test -f /etc/keepalived/down`, []string{"test", "-f", "/etc/keepalived/down"}},
		{`</dev/tcp/127.0.0.1/80`, []string{"/bin/sh", "-c", "</dev/tcp/127.0.0.1/80"}},
		{`pidof x || start x`, []string{"/bin/sh", "-c", "pidof x || start x"}},
		{`/bin/x >/dev/null 2>&1`, []string{"/bin/sh", "-c", "/bin/x >/dev/null 2>&1"}},
		{`'' x`, nil},
		{`  `, nil},
	}
	for _, tt := range tests {
		if got := argv(tt.text); !slices.Equal(got, tt.want) {
			t.Errorf("argv(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}
