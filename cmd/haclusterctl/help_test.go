package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestEveryCommandHasAnExampleThatStartsWithItsName(t *testing.T) {
	a := newApp(strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}, func(string) string { return "" })
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, child := range c.Commands() {
			walk(child)
		}
		if c == c.Root() || c.Name() == "help" {
			return
		}
		if !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s: example %q does not show the command", c.CommandPath(), c.Example)
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short text %q; want one without a full stop", c.CommandPath(), c.Short)
		}
	}
	walk(a.root())
}

func TestReadsTakeOutputJSON(t *testing.T) {
	a := newApp(strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}, func(string) string { return "" })
	root := a.root()
	for _, path := range []string{
		"status", "vips", "services", "nodes", "events", "alerts", "version", "token list",
		"config show", "config check", "config diff", "config plan", "config history", "config render",
		"realserver status",
	} {
		cmd, _, err := root.Find(strings.Fields(path))
		if err != nil || cmd.Flags().ShorthandLookup("o") == nil {
			t.Errorf("%s has no -o: %v", path, err)
		}
	}
}
