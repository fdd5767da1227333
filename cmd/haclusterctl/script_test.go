package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"haclusterctl": func() { os.Exit(run()) }})
}

// TestScripts runs haclusterctl as users do, against a daemon that plays the
// scene that the script names. The scripts' own commands are
//
//	scene NAME       what the daemon answers from now on
//	exits N CMD...   the command ends with exit status N
//	isjson FILE      the file is one JSON document
//	isjsonlines FILE the file is a JSON document on each line
func TestScripts(t *testing.T) {
	type key struct{}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Setup: func(env *testscript.Env) error {
			d := &daemon{text: "# cluster\nvrrp_instance VI_1 {\n    priority 100\n}\n"}
			socket := filepath.Join(env.WorkDir, "api.sock")
			stop, err := d.start(socket)
			if err != nil {
				return err
			}
			env.Defer(stop)
			env.Values[key{}] = d
			env.Setenv("HACLUSTER_SOCKET", socket)
			env.Setenv("SUDO_USER", "")
			env.Setenv("TZ", "UTC")
			env.Setenv("GORACE", "atexit_sleep_ms=0") // a race build waits a second at each exit otherwise
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"scene": func(ts *testscript.TestScript, _ bool, args []string) {
				d := ts.Value(key{}).(*daemon)
				d.mu.Lock()
				defer d.mu.Unlock()
				d.scene = args[0]
			},
			"exits": func(ts *testscript.TestScript, _ bool, args []string) {
				err := ts.Exec(args[1], args[2:]...)
				code := "0"
				if exit, ok := errors.AsType[interface {
					error
					ExitCode() int
				}](err); ok {
					code = string(rune('0' + exit.ExitCode()))
				} else if err != nil {
					ts.Fatalf("%v", err)
				}
				if code != args[0] {
					ts.Fatalf("exit status %s, want %s", code, args[0])
				}
			},
			"isjson": func(ts *testscript.TestScript, _ bool, args []string) {
				if text := ts.ReadFile(args[0]); !json.Valid([]byte(text)) {
					ts.Fatalf("no JSON: %s", text)
				}
			},
			"isjsonlines": func(ts *testscript.TestScript, _ bool, args []string) {
				for line := range bytes.Lines([]byte(ts.ReadFile(args[0]))) {
					if !json.Valid(line) {
						ts.Fatalf("no JSON: %s", line)
					}
				}
			},
		},
	})
}
